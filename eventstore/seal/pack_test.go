package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// sums are those of every dictionary that was ever used. A line is added for a new one; none is changed, for what was
// packed with an old one would never open again.
var sums = map[int]string{
	1: "20c054d5724e42b20f612ba606feeb3f740e9031a907a15bb90952ce850766b9",
	2: "8b77db94dce833024f8e80faac42e37e843589c49d4760a2a2fbcec96c79d6b3",
}

func TestDictionariesNeverChange(t *testing.T) {
	files, err := dictionaries.ReadDir("dictionaries")
	if err != nil || len(files) != len(sums) {
		t.Errorf("there are %d dictionaries, want %d: %v", len(files), len(sums), err)
	}
	for number, want := range sums {
		text, err := dictionary(number)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != want {
			t.Errorf("dictionary %d is not the one that was used: its sum is %x", number, sum)
		}
		if info, err := zstd.InspectDictionary(text); err != nil || info.ID() != uint32(number) {
			t.Errorf("dictionary %d says that it is another: %v", number, err)
		}
	}
}

// packedLongAgo are parts as they were packed by earlier releases: without a dictionary, with each one that there was,
// and filled up. A line is added with each new form; none is ever changed.
var packedLongAgo = []string{
	"0128b52ffd40006000e5010062830c14a0b701394112d0522bfa37dde884c01ffdfd1b1384eceed3b08ce877331fd2b9138cb59c08540e2c2ccf036b198dbc03d6015418022c7652",
	"0128b52ffd4100016000dd0000307b223a7b22200500283855f05645402855824efb70681a46bd02",
	"0128b52ffd410002600075010084017b22223a7b22496e666f223a7b22223a747275657d7d7d200500283885e3ae3a8067eae3187d1e791e58c502",
	"02160128b52ffd4100016000dd0000307b223a7b22200500283855f05645402855824efb70681a46bd0200000000000000000000000000000000000000000000",
}

func TestWhatWasPackedLongAgoOpens(t *testing.T) {
	for i, text := range packedLongAgo {
		packed, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := unpack(packed); err != nil || string(plain) != memorable {
			t.Errorf("form %d: %q, %v", i, plain, err)
		}
	}
}

var memorable = `{"Result":{"SecurityInfo":{"PasscodePresent":true}}}` + strings.Repeat(" ", 300)

// The lists of a device shrink to little more than what is new in them, and orders to almost nothing.
func TestPartsShrinkByTheDictionary(t *testing.T) {
	order := `{"Body":"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" ` +
		`\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n\t<key>Command</key>\n\t<dict>\n\t\t` +
		`<key>RequestType</key>\n\t\t<string>InstalledApplicationList</string>\n\t</dict>\n\t<key>CommandUUID</key>\n\t` +
		`<string>0D2D7B1C-5B5D-4D8B-9B1F-1D3C2B1A0F9E</string>\n</dict>\n</plist>\n"}`
	if n := len(packPart(Secret, []byte(order))); n > 96 {
		t.Errorf("an order of %d bytes was packed into %d", len(order), n)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var apps []string
	for range 60 {
		apps = append(apps, fmt.Sprintf(`{"AdHocCodeSigned":false,"AppStoreVendable":true,"BetaApp":false,"BundleSize":%d,`+
			`"DeviceBasedVPP":false,"DownloadCancelled":false,"DownloadFailed":false,"DownloadPaused":false,"DownloadWaiting":false,`+
			`"DynamicSize":%d,"ExternalVersionIdentifier":%d,"HasUpdateAvailable":false,"Identifier":"com.example.%x","Installing":false,`+
			`"IsAppClip":false,"IsValidated":true,"Name":"%x","ShortVersion":"%d.%d","Version":"%d.%d.%d"}`, rng.Uint32(), rng.Uint32(),
			rng.Uint32(), rng.Uint32(), rng.Uint32(), rng.IntN(20), rng.IntN(20), rng.IntN(20), rng.IntN(20), rng.IntN(20)))
	}
	list := `{"@actor":"192.0.2.1","Result":{"InstalledApplicationList":[` + strings.Join(apps, ",") + `]}}`
	if n := len(packPart(Personal, []byte(list))); n > 60*60 {
		t.Errorf("60 apps of %d bytes were packed into %d", len(list), n)
	}
}

// A secret's ciphertext is as long for one PIN as for another, and for one password as for one some letters longer.
func TestTheLengthOfASecretTellsLittle(t *testing.T) {
	lengths := map[int]bool{}
	for _, pin := range []string{"000000", "123456", "928374", "111222"} {
		body := strings.Repeat("<key>PIN</key>", 40) + "<string>" + pin + "</string>"
		lengths[len(packPart(Secret, []byte(body)))] = true
		lengths[len(packPart(Secret, []byte(body+"0")))] = true
	}
	if len(lengths) != 1 {
		t.Errorf("commands with PINs have the lengths %v", lengths)
	}
	for n := range 600 {
		packed := packPart(Secret, bytes.Repeat([]byte("x"), n))
		if len(packed)%roundSecrets != 0 {
			t.Errorf("a secret of %d bytes was packed into %d", n, len(packed))
		}
	}
	if a, b := len(packPart(Secret, []byte("secret"))), len(packPart(Secret, []byte("correct horse battery"))); a != b {
		t.Errorf("passwords are packed into %d and %d bytes", a, b)
	}
}
