package mdmtest

// A Platform is one of Apple's operating systems, as a person names it.
type Platform string

// The platforms that devices here can have.
const (
	IOS    Platform = "iOS"
	IPadOS Platform = "iPadOS"
	MacOS  Platform = "macOS"
	TvOS   Platform = "tvOS"
)

// A model is a kind of device as it is sold.
type model struct {
	product  string // ProductName
	name     string // ModelName
	number   string // Model, without its last letters
	chip     string // how a UDID of this kind begins; empty for Macs
	capacity []int  // GB
	cellular bool
}

var models = map[Platform][]model{
	IOS: {
		{"iPhone14,5", "iPhone 13", "MLPF3", "00008110", []int{128, 256}, true},
		{"iPhone14,6", "iPhone SE (3rd generation)", "MMX63", "00008110", []int{64, 128}, true},
		{"iPhone14,7", "iPhone 14", "MPUF3", "00008110", []int{128, 256}, true},
		{"iPhone15,4", "iPhone 15", "MTP03", "00008120", []int{128, 256}, true},
		{"iPhone16,1", "iPhone 15 Pro", "MTUX3", "00008130", []int{256, 512}, true},
		{"iPhone17,3", "iPhone 16", "MYEF3", "00008140", []int{128, 256}, true},
		{"iPhone17,1", "iPhone 16 Pro", "MYNL3", "00008140", []int{256, 512}, true},
		{"iPhone17,5", "iPhone 16e", "MD1T4", "00008140", []int{128}, true},
	},
	IPadOS: {
		{"iPad13,18", "iPad (10th generation)", "MPQ03", "00008101", []int{64, 256}, false},
		{"iPad14,1", "iPad mini (6th generation)", "MK7M3", "00008110", []int{64, 256}, false},
		{"iPad14,8", "iPad Air 11-inch (M2)", "MUWC3", "00008112", []int{128, 256}, false},
		{"iPad14,9", "iPad Air 11-inch (M2)", "MUXD3", "00008112", []int{128, 256}, true},
		{"iPad16,3", "iPad Pro 11-inch (M4)", "MVV83", "00008132", []int{256, 512}, false},
	},
	MacOS: {
		{"Mac14,2", "MacBook Air (M2, 2022)", "MLXW3", "", []int{256, 512}, false},
		{"Mac15,12", "MacBook Air (13-inch, M3, 2024)", "MRXN3", "", []int{256, 512}, false},
		{"Mac15,3", "MacBook Pro (14-inch, M3, Nov 2023)", "MTL73", "", []int{512, 1000}, false},
		{"Mac16,1", "MacBook Pro (14-inch, M4, 2024)", "MW2U3", "", []int{512, 1000}, false},
		{"Mac15,5", "iMac (24-inch, 2023, Four ports)", "MQRC3", "", []int{256, 512}, false},
		{"Mac16,10", "Mac mini (M4, 2024)", "MU9D3", "", []int{256, 512}, false},
	},
	TvOS: {
		{"AppleTV11,1", "Apple TV 4K (2nd generation)", "MXH02", "00008020", []int{64}, false},
		{"AppleTV14,1", "Apple TV 4K (3rd generation)", "MN893", "00008110", []int{128}, false},
	},
}

// A release is a version of a system with its build.
type release struct{ version, build string }

// releases are in the order in which they came out. Phones and tablets share theirs.
var releases = map[Platform][]release{
	IOS:    mobileReleases,
	IPadOS: mobileReleases,
	MacOS: {
		{"14.7.1", "23H222"}, {"15.1", "24B83"}, {"15.2", "24C101"}, {"15.3", "24D60"}, {"15.3.1", "24D70"},
		{"15.4", "24E248"}, {"15.5", "24F74"}, {"15.6", "24G84"}, {"26.0", "25A354"}, {"26.1", "25B78"},
	},
	TvOS: {
		{"18.1", "22J580"}, {"18.2", "22K154"}, {"18.3", "22K557"}, {"18.4", "22L255"}, {"18.5", "22L572"},
		{"18.6", "22M84"}, {"26.0", "23J353"}, {"26.1", "23J579"},
	},
}

var mobileReleases = []release{
	{"17.7.1", "21H216"}, {"18.1", "22B83"}, {"18.1.1", "22B91"}, {"18.2", "22C152"}, {"18.3", "22D63"},
	{"18.3.1", "22D72"}, {"18.4", "22E240"}, {"18.5", "22F76"}, {"18.6", "22G86"}, {"26.0", "23A341"}, {"26.1", "23B85"},
}

// after returns the release that follows the version, if one does.
func after(p Platform, version string) (release, bool) {
	all := releases[p]
	for i, r := range all[:len(all)-1] {
		if r.version == version {
			return all[i+1], true
		}
	}
	return release{}, false
}

// givenNames and familyNames make owners of devices and users of Macs.
var (
	givenNames = []string{"Ada", "Alan", "Barbara", "Claude", "Dorothy", "Edsger", "Frances", "Grace", "Hedy", "Ivan", "Jean", "Katherine",
		"Leslie", "Margaret", "Niklaus", "Olga", "Peter", "Radia", "Sophie", "Tim", "Ursula", "Vint", "Wietse", "Zoë"}
	familyNames = []string{"Abel", "Berg", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Hansen", "Ito", "Jansen", "Kowalska",
		"Lindqvist", "Moreau", "Novák", "O'Neill", "Petrov", "Quist", "Rossi", "Schäfer", "Tanaka", "Urban", "Varga", "Weber", "Yilmaz"}
)
