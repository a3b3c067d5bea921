package mdmtest

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// An App is a program on a device.
type App struct {
	Identifier string
	Name       string
	Version    string // ShortVersion; the build follows from it
	Bytes      int    // BundleSize
	Data       int    // DynamicSize
	Managed    bool
	StoreID    int    // iTunesStoreID; 0 if it is not from the store
	Path       string // macOS
}

// A title is an app as the store lists it.
type title struct {
	id, name string
	major    int // of its version
	megabyte int
}

// mobileTitles are on phones and tablets, and the first few on Apple TVs.
var mobileTitles = []title{
	{"com.netflix.Netflix", "Netflix", 17, 140}, {"com.google.ios.youtube", "YouTube", 20, 290}, {"com.spotify.client", "Spotify", 9, 180},
	{"com.disney.disneyplus", "Disney+", 25, 120}, {"com.amazon.aiv.AIVApp", "Prime Video", 10, 160}, {"com.plexapp.plex", "Plex", 8, 110},
	{"us.zoom.videomeetings", "Zoom Workplace", 6, 260}, {"com.google.Maps", "Google Maps", 24, 310}, {"com.vimeo", "Vimeo", 12, 95},
	{"tv.twitch", "Twitch", 23, 150}, {"com.ted.TED", "TED", 7, 70}, {"com.infuse.app", "Infuse", 8, 105},
	{"com.microsoft.Office.Outlook", "Outlook", 4, 420}, {"com.microsoft.skype.teams", "Teams", 7, 390},
	{"com.microsoft.Office.Word", "Word", 2, 330}, {"com.microsoft.Office.Excel", "Excel", 2, 340},
	{"com.microsoft.Office.Powerpoint", "PowerPoint", 2, 335}, {"com.microsoft.onenote", "OneNote", 16, 300},
	{"com.microsoft.skydrive", "OneDrive", 16, 310}, {"com.microsoft.azureauthenticator", "Authenticator", 6, 130},
	{"com.microsoft.CompanyPortal", "Company Portal", 5, 110}, {"com.google.Gmail", "Gmail", 6, 410},
	{"com.google.Drive", "Google Drive", 4, 260}, {"com.google.chrome.ios", "Chrome", 130, 210}, {"com.google.Docs", "Google Docs", 1, 240},
	{"com.google.Sheets", "Google Sheets", 1, 235}, {"com.google.calendar", "Google Calendar", 24, 230},
	{"com.google.meetings", "Google Meet", 250, 200}, {"com.google.Authenticator", "Google Authenticator", 4, 40},
	{"com.tinyspeck.chatlyio", "Slack", 24, 270}, {"com.cisco.anyconnect", "Cisco Secure Client", 5, 60}, {"com.cisco.webex", "Webex", 44, 330},
	{"com.okta.mobile", "Okta Verify", 9, 75}, {"com.duosecurity.DuoMobile", "Duo Mobile", 4, 50}, {"com.agilebits.onepassword-ios", "1Password", 8, 140},
	{"com.bitwarden.mobile", "Bitwarden", 2024, 80}, {"com.box.BoxNet", "Box", 5, 170}, {"com.getdropbox.Dropbox", "Dropbox", 380, 290},
	{"com.adobe.Adobe-Reader", "Acrobat Reader", 24, 340}, {"com.adobe.scan.ios", "Adobe Scan", 24, 200}, {"com.atlassian.jira", "Jira", 132, 180},
	{"com.atlassian.confluence", "Confluence", 2, 160}, {"com.figma.mirror", "Figma", 33, 60}, {"com.miro.miro", "Miro", 3, 150},
	{"notion.id", "Notion", 1, 120}, {"com.trello.trello", "Trello", 2024, 130}, {"com.asana.ios", "Asana", 8, 120},
	{"com.salesforce.chatter", "Salesforce", 250, 210}, {"com.workday.workdayapp", "Workday", 2024, 150}, {"com.sap.fiori.client", "SAP Mobile Start", 1, 160},
	{"com.concur.concurmobile", "SAP Concur", 10, 190}, {"com.servicenow.fulfiller", "ServiceNow Agent", 18, 130}, {"com.linkedin.LinkedIn", "LinkedIn", 9, 280},
	{"net.whatsapp.WhatsApp", "WhatsApp", 24, 220}, {"org.whispersystems.signal", "Signal", 7, 160}, {"com.ubercab.UberClient", "Uber", 3, 340},
	{"com.apple.Pages", "Pages", 14, 600}, {"com.apple.Numbers", "Numbers", 14, 560}, {"com.apple.Keynote", "Keynote", 14, 620},
	{"com.apple.classroom", "Classroom", 3, 20}, {"com.canva.canvaeditor", "Canva", 4, 230}, {"com.duolingo.DuolingoMobile", "Duolingo", 7, 190},
}

var macTitles = []title{
	{"com.apple.Safari", "Safari", 18, 13}, {"com.apple.mail", "Mail", 16, 24}, {"com.apple.iCal", "Calendar", 15, 20},
	{"com.apple.AddressBook", "Contacts", 14, 15}, {"com.apple.reminders", "Reminders", 7, 18}, {"com.apple.Notes", "Notes", 4, 30},
	{"com.apple.FaceTime", "FaceTime", 36, 10}, {"com.apple.MobileSMS", "Messages", 14, 8}, {"com.apple.Maps", "Maps", 3, 78},
	{"com.apple.Photos", "Photos", 10, 42}, {"com.apple.Music", "Music", 1, 120}, {"com.apple.TV", "TV", 1, 90},
	{"com.apple.podcasts", "Podcasts", 1, 48}, {"com.apple.iBooksX", "Books", 7, 30}, {"com.apple.AppStore", "App Store", 3, 22},
	{"com.apple.systempreferences", "System Settings", 15, 6}, {"com.apple.Preview", "Preview", 11, 11}, {"com.apple.TextEdit", "TextEdit", 1, 3},
	{"com.apple.calculator", "Calculator", 11, 4}, {"com.apple.Dictionary", "Dictionary", 2, 6}, {"com.apple.Home", "Home", 10, 15},
	{"com.apple.freeform", "Freeform", 3, 60}, {"com.apple.shortcuts", "Shortcuts", 7, 5}, {"com.apple.stocks", "Stocks", 7, 9},
	{"com.apple.VoiceMemos", "Voice Memos", 3, 7}, {"com.apple.weather", "Weather", 5, 60}, {"com.apple.Terminal", "Terminal", 2, 10},
	{"com.apple.ActivityMonitor", "Activity Monitor", 10, 12}, {"com.apple.Console", "Console", 1, 5}, {"com.apple.DiskUtility", "Disk Utility", 22, 9},
	{"com.apple.dt.Xcode", "Xcode", 16, 3400}, {"com.google.Chrome", "Google Chrome", 130, 1250}, {"org.mozilla.firefox", "Firefox", 132, 400},
	{"com.microsoft.edgemac", "Microsoft Edge", 130, 1300}, {"com.microsoft.Word", "Microsoft Word", 16, 2300},
	{"com.microsoft.Excel", "Microsoft Excel", 16, 2100}, {"com.microsoft.Powerpoint", "Microsoft PowerPoint", 16, 1800},
	{"com.microsoft.Outlook", "Microsoft Outlook", 16, 2200}, {"com.microsoft.teams2", "Microsoft Teams", 24, 1000},
	{"com.microsoft.OneDrive", "OneDrive", 24, 1100}, {"com.microsoft.VSCode", "Visual Studio Code", 1, 610},
	{"com.microsoft.wdav", "Microsoft Defender", 101, 700}, {"com.tinyspeck.slackmacgap", "Slack", 4, 480}, {"us.zoom.xos", "zoom.us", 6, 320},
	{"com.1password.1password", "1Password", 8, 520}, {"com.okta.mobile", "Okta Verify", 9, 75}, {"com.cisco.secureclient.gui", "Cisco Secure Client", 5, 90},
	{"com.docker.docker", "Docker", 4, 2000}, {"com.googlecode.iterm2", "iTerm", 3, 90}, {"com.jetbrains.goland", "GoLand", 2024, 1500},
	{"com.postmanlabs.mac", "Postman", 11, 520}, {"com.figma.Desktop", "Figma", 124, 250}, {"notion.id", "Notion", 4, 300},
	{"com.spotify.client", "Spotify", 1, 350}, {"com.adobe.Acrobat.Pro", "Adobe Acrobat", 24, 2600}, {"com.getdropbox.dropbox", "Dropbox", 210, 420},
	{"com.jamf.selfservice.mac", "Self Service", 11, 30}, {"com.googlecode.munki.ManagedSoftwareCenter", "Managed Software Center", 5, 8},
	{"com.crowdstrike.falcon.App", "Falcon", 7, 110}, {"com.apple.garageband10", "GarageBand", 10, 1100},
}

// appsEach is how many programs a new phone, tablet or Mac has.
const appsEach = 60

func titles(p Platform) []title {
	switch p {
	case MacOS:
		return macTitles[:appsEach]
	case TvOS:
		return mobileTitles[:12]
	}
	return mobileTitles[:appsEach]
}

// newApps returns what a new device of the platform has.
func newApps(p Platform, rng *rand.Rand) []App {
	var apps []App
	for i, t := range titles(p) {
		a := App{
			Identifier: t.id, Name: t.name, Version: version(t.major, rng.IntN(12), rng.IntN(6)),
			Bytes: t.megabyte<<20 + rng.IntN(1<<20)&^4095, Data: rng.IntN(200<<20) &^ 4095,
			Managed: i >= 12 && i < 22, StoreID: 300_000_000 + i*7_654_321,
		}
		if p == MacOS {
			a.Path, a.Data, a.Managed = "/Applications/"+t.name+".app", 0, i >= 40 && i < 44
			if strings.HasPrefix(t.id, "com.apple.") {
				a.StoreID = 0
			}
		}
		apps = append(apps, a)
	}
	return apps
}

func version(parts ...int) string {
	text := make([]string, len(parts))
	for i, p := range parts {
		text[i] = strconv.Itoa(p)
	}
	return strings.Join(text, ".")
}

// newer returns the version that an update of the app brings.
func (a App) newer() string {
	parts := strings.Split(a.Version, ".")
	last := len(parts) - 1
	if n, err := strconv.Atoi(parts[last]); err == nil && n < 9 {
		parts[last] = strconv.Itoa(n + 1)
	} else if n, err := strconv.Atoi(parts[max(last-1, 0)]); err == nil {
		parts[max(last-1, 0)], parts[last] = strconv.Itoa(n+1), "0"
	}
	return strings.Join(parts, ".")
}

// listed returns the app as InstalledApplicationList shows it.
func (a App) listed(p Platform) dict {
	d := dict{
		"Identifier": a.Identifier, "Name": a.Name, "ShortVersion": a.Version, "Version": a.Version + "." + strconv.Itoa(a.Bytes>>12&0xff),
		"BundleSize": a.Bytes, "Installing": false, "HasUpdateAvailable": false, "DownloadFailed": false,
		"DownloadWaiting": false, "DownloadPaused": false, "DownloadCancelled": false,
		"ExternalVersionIdentifier": 800_000_000 + a.Bytes>>12,
	}
	if p == MacOS {
		d["Path"] = a.Path
		return d
	}
	d["DynamicSize"], d["IsValidated"], d["AppStoreVendable"] = a.Data, true, a.StoreID != 0
	d["DeviceBasedVPP"], d["BetaApp"], d["AdHocCodeSigned"], d["IsAppClip"] = a.Managed, false, a.StoreID == 0, false
	return d
}
