package device_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// mac is an enrolled Mac.
var mac = events{device.Authenticated{Generation: 1, Topic: "topic", Certificate: "A", OSVersion: "15.1", ProductName: "Mac14,2"}, pinned, token}

// about is a command about a password, as it was ordered and as it was answered.
func about(uuid, requestType, password string, answer domain.Event) events {
	list := events{
		device.CommandQueued{UUID: uuid, RequestType: requestType, Body: []byte("x"), Password: password},
		device.CommandDelivered{UUID: uuid, RequestType: requestType, Attempt: 1, NewSession: true},
	}
	if answer != nil {
		list = append(list, answer)
	}
	return list
}

func yes(uuid, requestType, result string) domain.Event {
	return device.CommandAcknowledged{UUID: uuid, RequestType: requestType, Result: json.RawMessage(result)}
}

func TestAPasswordCountsUntilTheMacHasAcknowledgedAnother(t *testing.T) {
	const set, verify = "SetRecoveryLock", "VerifyRecoveryLock"
	first := about("1", set, "one", yes("1", set, ""))
	for _, c := range []struct {
		name  string
		given events
		value string
	}{
		{"ordered", about("1", set, "one", nil), ""},
		{"acknowledged", first, "one"},
		{"another one is on its way", then(first, about("2", set, "two", nil)), "one"},
		{"another one failed", then(first, about("2", set, "two", device.CommandFailed{UUID: "2", RequestType: set})), "one"},
		{"another one was cancelled after it was handed out", then(first, about("2", set, "two", device.CommandCancelled{UUID: "2", RequestType: set})), "one"},
		{"another one was acknowledged", then(first, about("2", set, "two", yes("2", set, ""))), "two"},
		{"it was taken away", then(first, about("2", set, "", yes("2", set, ""))), ""},
		{"the Mac says that another one is right", then(first, about("2", verify, "two", yes("2", verify, `{"PasswordVerified":true}`))), "two"},
		{"the Mac says that another one is wrong", then(first, about("2", verify, "two", yes("2", verify, `{"PasswordVerified":false}`))), "one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fold(then(mac, c.given), morning).Password(device.RecoveryLock); got.Value != c.value {
				t.Errorf("the recovery lock is %q, want %q", got.Value, c.value)
			}
		})
	}
	wrong := fold(then(mac, first, about("2", verify, "one", yes("2", verify, `{"PasswordVerified":false}`))), morning).Recovery
	right := fold(then(mac, first, about("2", verify, "one", yes("2", verify, `{"PasswordVerified":true}`))), morning).Recovery
	if !wrong.Wrong || !wrong.Verified.IsZero() || right.Wrong || !right.Verified.Equal(morning) {
		t.Errorf("the one that is wrong is %+v, the one that is right %+v", wrong, right)
	}
	firmware := fold(then(mac, about("1", "SetFirmwarePassword", "one", yes("1", "SetFirmwarePassword", `{"SetFirmwarePassword":{"PasswordChanged":false}}`))), morning)
	if firmware.Firmware.Value != "" {
		t.Error("a firmware password counts that the Mac has not taken")
	}
}

func TestWhichPasswordAMacIsToldBeforeItTakesAnother(t *testing.T) {
	set := about("1", "SetRecoveryLock", "one", yes("1", "SetRecoveryLock", ""))
	again := device.Authenticated{Generation: 2, Topic: "topic", Certificate: "A", OSVersion: "15.1", ProductName: "Mac14,2"}
	locked := told("SecurityInfo", `{"SecurityInfo":{"IsRecoveryLockEnabled":true,"FirmwarePasswordStatus":{"PasswordExists":true}}}`)
	open := told("SecurityInfo", `{"SecurityInfo":{"IsRecoveryLockEnabled":false}}`)
	for _, c := range []struct {
		name  string
		given events
		kind  device.SecretKind
		value string
		no    bool
	}{
		{"a Mac of which nothing is known", mac, device.RecoveryLock, "", false},
		{"one whose password is known", then(mac, set), device.RecoveryLock, "one", false},
		{"one that says that it has none", then(mac, set, open), device.RecoveryLock, "", false},
		{"one that says that it has one, which nobody knows", then(mac, locked), device.RecoveryLock, "", true},
		{"one that enrolled anew, and lost it by that", then(mac, set, events{again, token}), device.RecoveryLock, "", false},
		{"one that enrolled anew, and has it still", then(mac, set, events{again, token}, locked), device.RecoveryLock, "one", false},
		{"a firmware password outlives the enrolment", then(mac, about("1", "SetFirmwarePassword", "f", yes("1", "SetFirmwarePassword", "")), events{again, token}), device.FirmwarePassword, "f", false},
		{"a firmware password that nobody knows", then(mac, locked), device.FirmwarePassword, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := fold(c.given, morning).PasswordInForce(c.kind)
			if got != c.value || (err != nil) != c.no {
				t.Errorf("it is %q (%v), want %q", got, err, c.value)
			}
		})
	}
}

func TestOrdersAboutPasswordsThatNobodyCouldTellTheEndOf(t *testing.T) {
	of := func(requestType, params, key string) device.Order {
		return device.Order{UUID: "n", RequestType: requestType, Body: []byte("x"), Parameters: json.RawMessage(params), SupersedeKey: key}
	}
	waits := events{device.CommandQueued{UUID: "1", RequestType: "SetRecoveryLock", Body: []byte("x"), SupersedeKey: "k", Password: "one"}}
	out := then(waits, events{device.CommandDelivered{UUID: "1", RequestType: "SetRecoveryLock", Attempt: 1, NewSession: true}})
	known := about("0", "SetRecoveryLock", "zero", yes("0", "SetRecoveryLock", ""))
	firmware := about("0", "SetFirmwarePassword", "zero", nil)
	changing := told("SecurityInfo", `{"SecurityInfo":{"FirmwarePasswordStatus":{"ChangePending":true}}}`)
	intel := told("DeviceInformation", `{"QueryResponses":{"IsAppleSilicon":false}}`)
	silicon := told("DeviceInformation", `{"QueryResponses":{"IsAppleSilicon":true}}`)
	for _, c := range []struct {
		name    string
		given   events
		order   device.Order
		because string
	}{
		{"the first", nil, of("SetRecoveryLock", `{"NewPassword":"•••"}`, "k"), ""},
		{"one in the place of one that waits", waits, of("SetRecoveryLock", `{"NewPassword":"•••"}`, "k"), ""},
		{"one beside one that waits", waits, of("SetRecoveryLock", `{"NewPassword":"•••"}`, ""), "SetRecoveryLock 1 waits for the Mac's answer"},
		{"one in the place of one that is at the Mac", out, of("SetRecoveryLock", `{"NewPassword":"•••"}`, "k"), "SetRecoveryLock 1 waits for the Mac's answer"},
		{"without the one in force", known, of("SetRecoveryLock", `{"NewPassword":"•••"}`, ""), "wants to be told it as CurrentPassword"},
		{"with the one in force", known, of("SetRecoveryLock", `{"CurrentPassword":"•••","NewPassword":"•••"}`, ""), ""},
		{"two firmware commands at once", firmware, of("VerifyFirmwarePassword", `{"Password":"•••"}`, ""), "SetFirmwarePassword 0 waits"},
		{"a firmware password before the restart", changing, of("SetFirmwarePassword", `{"NewPassword":"•••"}`, ""), "waits for its restart"},
		{"a recovery lock on Intel", intel, of("SetRecoveryLock", `{"NewPassword":"•••"}`, ""), "recovery locks are for Apple silicon"},
		{"a firmware password on Apple silicon", silicon, of("SetFirmwarePassword", `{"NewPassword":"•••"}`, ""), "firmware passwords are for Intel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := fold(then(mac, c.given), morning).Order("", c.order, false, noon)
			refusal, _ := domain.Refused(err)
			if (err != nil) != (c.because != "") || refusal != nil && !strings.Contains(refusal.Text, c.because) {
				t.Errorf("the answer is %v, want %q", err, c.because)
			}
		})
	}
}

func TestAMacRestsBetweenFirmwareCommands(t *testing.T) {
	given := then(mac, about("1", "SetFirmwarePassword", "one", yes("1", "SetFirmwarePassword", "")))
	o := device.Order{UUID: "2", RequestType: "VerifyFirmwarePassword", Body: []byte("x"), Password: "one"}
	list, err := fold(given, morning).Order("", o, false, morning.Add(time.Second))
	if err != nil || !list[0].(device.CommandQueued).NotBefore.Equal(morning.Add(30*time.Second)) {
		t.Errorf("the second is ordered as %v (%v)", show(list), err)
	}
}
