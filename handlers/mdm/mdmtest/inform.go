package mdmtest

import "strings"

// information answers DeviceInformation. What was asked and is not known is left out, without an error.
func (d *Device) information(u *User, queries any) dict {
	all := d.facts()
	switch d.Platform {
	case MacOS:
		d.addMacFacts(all)
	case TvOS:
		all["DeviceID"] = strings.ToLower(strings.ReplaceAll(d.ID(), "-", ""))
	default:
		d.addMobileFacts(all)
	}
	if u != nil {
		all["PushToken"] = u.Push.Token
	}
	asked, some := texts(queries)
	if !some {
		return all
	}
	answer := dict{}
	for _, name := range asked {
		if v, known := all[name]; known {
			answer[name] = v
		}
	}
	return answer
}

// texts reads an array of strings. What is none is left out.
func texts(v any) (list []string, ok bool) {
	switch v := v.(type) {
	case []string:
		return v, true
	case []any:
		for _, one := range v {
			if s, isText := one.(string); isText {
				list = append(list, s)
			}
		}
		return list, true
	}
	return nil, false
}

// facts are what every device knows of itself.
func (d *Device) facts() dict {
	all := dict{
		"DeviceName": d.Name, "OSVersion": d.OSVersion, "BuildVersion": d.BuildVersion, "ModelName": d.ModelName,
		"Model": d.Model, "ModelNumber": d.Model, "ProductName": d.ProductName, "IsSupervised": d.Supervised,
		"AwaitingConfiguration": d.Awaiting, "iTunesStoreAccountIsActive": false, "TimeZone": "Europe/Berlin",
		"BluetoothMAC": d.mac(1), "WiFiMAC": d.mac(2), "SupplementalBuildVersion": d.BuildVersion,
		"MDMOptions": dict{"ActivationLockAllowedWhileSupervised": false},
	}
	if d.UDID != "" {
		all["UDID"], all["SerialNumber"] = d.UDID, d.SerialNumber
	}
	if d.Platform != TvOS {
		all["DeviceCapacity"], all["AvailableDeviceCapacity"] = d.Capacity, d.Free
		if d.Battery >= 0 {
			all["BatteryLevel"] = d.Battery
		}
	}
	if org, ok := d.Settings["OrganizationInfo"].(map[string]any); ok {
		all["OrganizationInfo"] = org
	}
	return all
}

func (d *Device) addMobileFacts(all dict) {
	for key, v := range map[string]any{
		"CellularTechnology": 0, "IsMultiUser": d.SharedIPad, "IsDeviceLocatorServiceEnabled": false,
		"IsActivationLockEnabled": false, "IsDoNotDisturbInEffect": false, "IsCloudBackupEnabled": !d.Supervised,
		"IsMDMLostModeEnabled": false, "DataRoamingEnabled": false, "PersonalHotspotEnabled": false,
		"IsNetworkTethered": false, "DiagnosticSubmissionEnabled": false, "AppAnalyticsEnabled": false,
		"PushToken": d.Push.Token, "EASDeviceIdentifier": strings.ReplaceAll(d.ID(), "-", ""),
	} {
		all[key] = v
	}
	if d.IMEI == "" {
		return
	}
	all["CellularTechnology"], all["ModemFirmwareVersion"] = 3, "2.20.03"
	all["ServiceSubscriptions"] = []dict{{
		"CarrierSettingsVersion": "58.1", "CurrentCarrierNetwork": "Example Mobile", "CurrentMCC": "262", "CurrentMNC": "01",
		"ICCID": "89490200" + d.IMEI[3:], "IMEI": d.IMEI, "IsDataPreferred": true, "IsRoaming": false, "IsVoicePreferred": true,
		"Label": "Primary", "LabelID": d.Push.Magic, "MEID": d.IMEI[:14], "PhoneNumber": "+49151" + d.IMEI[7:], "Slot": "CTSubscriptionSlotOne",
	}}
}

func (d *Device) addMacFacts(all dict) {
	host := strings.ReplaceAll(strings.ReplaceAll(d.Name, "’", ""), " ", "-")
	users := []string{}
	for _, u := range d.Users {
		users = append(users, u.UserID)
	}
	for key, v := range map[string]any{
		"IsAppleSilicon": true, "HasBattery": d.Battery >= 0, "IsActivationLockSupported": true, "IsActivationLockEnabled": false,
		"SupportsLOMDevice": false, "LocalHostName": host, "HostName": host + ".example.com", "ActiveManagedUsers": users,
		"AutoSetupAdminAccounts": []dict{}, "SystemIntegrityProtectionEnabled": true, "EthernetMAC": d.mac(3),
		"PINRequiredForEraseDevice": false, "PINRequiredForDeviceLock": true, "SupportsiOSAppInstalls": true,
		"SoftwareUpdateDeviceID": d.ProductName, "PushToken": d.Push.Token,
		"OSUpdateSettings": dict{
			"IsDefaultCatalog": true, "AutoCheckEnabled": true, "BackgroundDownloadEnabled": true,
			"AutomaticAppInstallationEnabled": false, "AutomaticOSInstallationEnabled": false,
			"AutomaticSecurityUpdatesEnabled": true, "PerformPeriodicCheck": true,
		},
	} {
		all[key] = v
	}
}

// mac returns the n-th hardware address. It follows from the push token, which is random and stays.
func (d *Device) mac(n byte) string {
	const digits = "0123456789abcdef"
	var b []byte
	for i, c := range [6]byte{0xf0, 0x18, 0x98, d.Push.Token[0], d.Push.Token[1], d.Push.Token[2] + n} {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return string(b)
}

// security answers SecurityInfo.
func (d *Device) security(u *User) dict {
	if d.Platform != MacOS {
		return dict{
			"HardwareEncryptionCaps": 3, "PasscodePresent": d.Passcode, "PasscodeCompliant": d.Passcode,
			"PasscodeCompliantWithProfiles": d.Passcode, "PasscodeLockGracePeriod": 0, "PasscodeLockGracePeriodEnforced": 0,
			"ManagementStatus": dict{"IsUserEnrollment": d.UDID == ""},
		}
	}
	status := dict{
		"EnrolledViaDEP": d.Supervised, "UserApprovedEnrollment": true, "IsUserEnrollment": d.UDID == "",
		"IsActivationLockManageable": d.Supervised,
	}
	if u != nil {
		return dict{"ManagementStatus": status}
	}
	return dict{
		"ManagementStatus": status, "FDE_Enabled": d.FileVault, "FDE_HasPersonalRecoveryKey": d.FileVault,
		"FDE_HasInstitutionalRecoveryKey": false, "SystemIntegrityProtectionEnabled": true, "RemoteDesktopEnabled": false,
		"FirewallSettings": dict{
			"FirewallEnabled": d.Firewall, "BlockAllIncoming": false, "StealthMode": d.Firewall, "Applications": []dict{},
			"LoggingEnabled": true, "LoggingOption": "throttled",
		},
		"SecureBoot": dict{
			"SecureBootLevel": "full", "ExternalBootLevel": "not supported", "ReducedSecurity": []string{},
		},
		"AuthenticatedRootVolumeEnabled": true, "BootstrapTokenAllowedForAuthentication": "allowed",
		"BootstrapTokenRequiredForSoftwareUpdate": true, "BootstrapTokenRequiredForKernelExtensionApproval": true,
		"IsRecoveryLockEnabled": false,
	}
}
