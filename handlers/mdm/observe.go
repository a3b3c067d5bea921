package mdm

// Observe tells whoever keeps figures what comes in. Each function may be nil; its argument is one of few words.
//
// The reasons of refusals are no-identity, bad-certificate, bad-signature, identities-differ and untrusted-proxy (a
// header from somebody who may not set it); foreign-certificate; malformed, unknown-message, too-large, broken-off;
// unavailable, overloaded; and those of the domain: invalid, conflict, unmanaged and so on.
type Observe struct {
	CheckIn func(messageType string) // a check-in message that was taken
	Connect func(status string)      // a report on the command channel that was taken; other if Apple has no such status
	Refused func(reason string)      // a message that was refused, or a header that was not believed
}

func (o Observe) checkIn(messageType string) {
	if o.CheckIn != nil {
		o.CheckIn(messageType)
	}
}

func (o Observe) connect(status string) {
	if o.Connect != nil {
		o.Connect(status)
	}
}

func (o Observe) refused(reason string) {
	if o.Refused != nil {
		o.Refused(reason)
	}
}
