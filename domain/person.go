package domain

// A Person is who signed in to bring a device in. Events keep it sealed.
type Person struct {
	Account string `json:",omitempty"` // mostly an address of mail
	Name    string `json:",omitempty"`
	Subject string `json:",omitempty"` // what the issuer calls the account for ever
	Issuer  string `json:",omitempty"` // who vouches for all that; empty if the person alone says so
}

// Told returns what sentences call the person; empty if nobody signed in.
func (p Person) Told() string {
	switch {
	case p.Account != "":
		return p.Account
	case p.Subject != "":
		return p.Subject
	}
	return p.Name
}
