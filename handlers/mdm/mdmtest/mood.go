package mdmtest

import "slices"

// questions are the commands that change nothing, so that their answers may be prepared.
var questions = map[string]bool{
	"DeviceInformation": true, "SecurityInfo": true, "InstalledApplicationList": true, "ProfileList": true,
	"CertificateList": true, "ProvisioningProfileList": true, "Restrictions": true, "ManagedApplicationList": true,
	"UserList": true, "AvailableOSUpdates": true,
}

// Commands that are never answered NotNow. Source: Apple, "Handling NotNow status responses".
var (
	promptOnMobile = []string{
		"DeviceInformation", "ProfileList", "DeviceLock", "EraseDevice", "ClearPasscode", "ProvisioningProfileList",
		"InstalledApplicationList", "Restrictions",
	}
	promptOnMac = []string{
		"DeleteUser", "DeviceLock", "EraseDevice", "RestartDevice", "ShutDownDevice", "UserList",
		"ActivationLockBypassCode", "ClearActivationLockBypassCode", "UnlockUserAccount",
	}
)

// Defers reports whether the platform may answer the command with NotNow at all.
func (p Platform) Defers(requestType string) bool {
	if p == MacOS {
		return !slices.Contains(promptOnMac, requestType)
	}
	return !slices.Contains(promptOnMobile, requestType)
}

// mood draws how the device takes a command. It returns Acknowledged if it will do as it is told.
func (d *Device) mood(requestType string) (status string, keys dict) {
	h := d.Habits
	if h == (Habits{}) && !d.Locked {
		return acknowledged, nil
	}
	if d.Platform.Defers(requestType) && (d.Locked && requestType == "InstallProfile" || d.rng.Float64() < h.NotNow) {
		return notNow, nil
	}
	if d.rng.Float64() < h.Error {
		return failed, chain("MCMDMErrorDomain", 12010, "The device could not carry out the command.")
	}
	if d.rng.Float64() < h.FormatError {
		return formatError, chain("MCMDMErrorDomain", 12008, "The command is malformed.")
	}
	return acknowledged, nil
}

// chain returns the ErrorChain of one error.
func chain(domain string, code int, what string) dict {
	return dict{"ErrorChain": []dict{{
		"ErrorCode": code, "ErrorDomain": domain, "LocalizedDescription": what, "USEnglishDescription": what,
	}}}
}
