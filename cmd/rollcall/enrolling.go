package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
	"github.com/rollcall-mdm/rollcall/handlers/enroll"
)

// enrolling are the settings of the roads by which devices come in.
type enrolling struct {
	Organization  string `placeholder:"NAME" help:"Who manages devices, as their users are told."`
	CheckInURL    string `name:"checkin-url" placeholder:"URL" help:"How devices reach the server where they check in, if that is another one than --url."`
	AppleDeviceCA string `name:"apple-device-ca" type:"existingfile" placeholder:"FILE" help:"The certificates that Apple's devices are built with chain to, PEM: devices that show others are refused. Without it any are taken."`
	AccountDriven string `name:"account-driven" enum:"none,byod,adde" default:"none" help:"What somebody who signs in with a Managed Apple Account enrols: byod (a device of their own), adde (one of the organisation's) or none."`
	RequiredOS    string `name:"required-os" placeholder:"VERSION" help:"What a device must run before it enrols by Automated Device Enrollment, such as 18.2; an older one is told to update first."`
	PlatformSSO   string `name:"platform-sso" type:"existingfile" placeholder:"FILE" help:"What a Mac (macOS 26) sets up before it enrols, JSON: ProfileURL, AuthURL and Package, as Apple's com.apple.psso.required has them."`
}

// check refuses settings that cannot work.
func (e *enrolling) check() error {
	if u, err := url.Parse(e.CheckInURL); e.CheckInURL != "" && (err != nil || u.Host == "") {
		return fmt.Errorf("--checkin-url %q is no address: give one like https://checkin.example.com", e.CheckInURL)
	}
	if _, err := e.sso(); err != nil {
		return err
	}
	_, err := e.built()
	return err
}

// sso reads what a Mac sets up before it enrols, nil if nothing.
func (e *enrolling) sso() (*enroll.PlatformSSO, error) {
	if e.PlatformSSO == "" {
		return nil, nil
	}
	text, err := os.ReadFile(e.PlatformSSO)
	if err != nil {
		return nil, fmt.Errorf("--platform-sso: %w", err)
	}
	var sso enroll.PlatformSSO
	if err := json.Unmarshal(text, &sso); err != nil || sso.ProfileURL == "" || sso.AuthURL == "" || sso.Package.ManifestURL == "" {
		return nil, errors.New("--platform-sso: the file must be JSON with ProfileURL, AuthURL and Package { ManifestURL }")
	}
	return &sso, nil
}

// built reads the certificates that devices are built with chain to.
func (e *enrolling) built() ([]*x509.Certificate, error) {
	return certificatesIn("--apple-device-ca", e.AppleDeviceCA)
}

// mountEnrolment opens the door by which devices come in.
func (s *server) mountEnrolment(e *echo.Echo) error {
	s.enrolments = &handlers.Enrolments{
		Invitations: s.invitations, Challenges: s.vouchers, Topic: s.topic, Root: s.issuingRoot, URL: s.URL, CheckIn: s.CheckInURL,
		PlainHTTP: s.PlainHTTP && strings.HasPrefix(s.URL, "http:"), SCEP: s.SCEPURL, ACME: s.directory(), Attest: s.IdentityPayload == byAttested, Organization: s.Organization, Stamp: s.pseudonyms.Stamp,
	}
	if s.SCEPURL == "" && s.ACMEURL == "" {
		s.enrolments.Authority = s.authority
	}
	s.links = &enroll.Links{URL: s.URL, Key: s.pseudonyms.Derive("links")}
	door := &enroll.Door{
		Enrolments: s.enrolments, Invitations: s.invitations, Pseudonyms: s.pseudonyms, Issued: s.whose, Signer: s.profileSigner, Links: s.links,
		Operators: s.eitherToken, Now: s.now, Log: s.logger,
	}
	if s.AccountDriven != "none" {
		door.Account = s.AccountDriven
	}
	if s.RequiredOS != "" {
		door.OSAtOnce = &enroll.RequiredOS{OSVersion: s.RequiredOS}
	}
	var err error
	if door.SSO, err = s.sso(); err != nil {
		return err
	}
	if door.Built, err = s.built(); err != nil {
		return err
	}
	if door.OIDC, err = s.organisation(); err != nil {
		return err
	}
	door.Mount(e)
	return nil
}

// profileSigner is who signs profiles: read, or made, when it is wanted for the first time.
func (s *server) profileSigner() (*cms.Signer, error) {
	s.signs.Lock()
	defer s.signs.Unlock()
	if s.signs.signer == nil {
		if err := s.alone(context.Background(), s.openSigner); err != nil {
			return nil, err
		}
	}
	return s.signs.signer, nil
}

func (s *server) openSigner() (err error) {
	s.signs.signer, err = s.signer(s.dir)
	return err
}

// eitherToken lets people in by an API token, as Bearer or as the password of Basic.
func (s *server) eitherToken(next echo.HandlerFunc) echo.HandlerFunc {
	basic, bearer := s.tokens.Basic(next), s.tokens.Bearer(next)
	return func(c echo.Context) error {
		if strings.HasPrefix(c.Request().Header.Get(echo.HeaderAuthorization), "Basic ") {
			return basic(c)
		}
		return bearer(c)
	}
}

// shortly is how long whoever wants a profile waits for views that are behind.
const shortly = 5 * time.Second

// topic is that of the push certificate that was stored last.
func (s *server) topic(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, shortly)
	defer cancel()
	head, err := s.house.log.Head(ctx)
	if err == nil {
		err = s.views.Wait(ctx, head)
	}
	if err != nil {
		return "", err
	}
	list, err := s.views.PushCertificates(ctx)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", domain.WithHint(domain.Refusef(domain.Conflict, "there is no push certificate: a device that enrolled could never be woken"),
			"store one first (rollcall pushcert import), or name its topic with ?topic=")
	}
	newest := list[0]
	for _, c := range list {
		if c.StoredAt.After(newest.StoredAt) {
			newest = c
		}
	}
	return newest.Topic, nil
}

// issuingRoot is the root whose fingerprint devices are told.
func (s *server) issuingRoot() (*x509.Certificate, error) {
	now, found := s.authority.Standing().Issuing()
	if !found {
		return nil, domain.Refusef(domain.Conflict, "no root issues here")
	}
	return x509.ParseCertificate(now.Certificate)
}

// whose tells for whom a certificate of this server was issued. One that is good no longer is refused.
func (s *server) whose(ctx context.Context, c *x509.Certificate) (enroll.Whose, bool, error) {
	known, _, err := s.certificates.Load(ctx, handlers.Fingerprint(c))
	if err != nil || !known.Issued {
		return enroll.Whose{}, false, err
	}
	return enroll.Whose{Invitation: known.Of, Device: cmp.Or(known.Device, known.For)}, true, s.authority.Good(c)
}

// join puts a device into the group that its invitation names. A group that cannot be joined is no reason to keep the device out.
func (s *server) join(ctx context.Context, deviceID, invitation string) error {
	i, _, err := s.invitations.Load(ctx, invitation)
	if err != nil || i.Group == "" {
		return err
	}
	_, err = (&handlers.Groups{Groups: s.groups}).Add(ctx, itself, i.Group, []string{deviceID})
	if refusal, refused := domain.Refused(err); refused {
		s.logger.WarnContext(ctx, "a device could not join the group of its invitation", "device", deviceID, "group", i.Group, "why", refusal.Text)
		return nil
	}
	return err
}
