package enroll

import (
	"slices"
	"strings"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/rollcall-mdm/rollcall/domain"
)

// longest is how long what a sign-in says of a person may be, in bytes.
const longest = 254

// admit returns the person that an ID token is about, if the rules let such accounts in.
func (o *OIDC) admit(id *oidc.IDToken) (domain.Person, error) {
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return domain.Person{}, errNotBelieved()
	}
	account, _ := claims[o.claim()].(string)
	name, _ := claims["name"].(string)
	p := domain.Person{Account: plain(account), Name: plain(name), Subject: plain(id.Subject), Issuer: id.Issuer}
	switch {
	case p.Account == "" || p.Account != account || len(account) > longest:
		return domain.Person{}, domain.WithHint(domain.Refusef(domain.Forbidden, "the sign-in does not tell which account it was"),
			"your administrator can name the claim that tells it (--oidc-account-claim), and the scope that brings it (--oidc-scopes)")
	case !o.verified(claims):
		return domain.Person{}, notAllowed("the address of your account has not been verified")
	case !o.domains(account):
		return domain.Person{}, notAllowed("accounts of this domain may not enrol devices here")
	}
	for claim, want := range o.Require {
		if !holds(claims[claim], want) {
			return domain.Person{}, notAllowed("this account may not enrol devices here")
		}
	}
	return p, nil
}

func notAllowed(why string) error {
	return domain.WithHint(domain.Refusef(domain.Forbidden, "%s", why), "sign in with another account, or ask your administrator")
}

// verified reports whether the issuer stands for an address. Where domains are asked for it must say so: in some services
// everybody can give an account any address.
func (o *OIDC) verified(claims map[string]any) bool {
	said, told := claims["email_verified"]
	if o.claim() != "email" || !told && len(o.Domains) == 0 {
		return true
	}
	return said == true || said == "true"
}

func (o *OIDC) domains(account string) bool {
	at := strings.LastIndexByte(account, '@')
	return len(o.Domains) == 0 || at >= 0 && slices.ContainsFunc(o.Domains, func(d string) bool { return strings.EqualFold(d, account[at+1:]) })
}

// holds reports whether a claim is the value, or a list that holds it.
func holds(claim any, want string) bool {
	switch claim := claim.(type) {
	case string:
		return claim == want
	case bool:
		return want == "true" && claim || want == "false" && !claim
	case []any:
		for _, one := range claim {
			if one == want {
				return true
			}
		}
	}
	return false
}

// plain returns text as it may stand in pages and sentences: on one line, and not too long.
func plain(text string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, text))
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "")
	}
	return text
}
