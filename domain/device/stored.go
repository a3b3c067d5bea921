package device

// How events are stored: by which names, and with whose keys.

// EventType returns the stored name. Names never change: logs of all ages hold them.
func (Authenticated) EventType() string             { return "device.authenticated" }
func (TokenUpdated) EventType() string              { return "device.token-updated" }
func (CheckedOut) EventType() string                { return "device.checked-out" }
func (UserAuthenticated) EventType() string         { return "device.user-authenticated" }
func (BootstrapTokenEscrowed) EventType() string    { return "device.bootstrap-token-escrowed" }
func (BootstrapTokenDeleted) EventType() string     { return "device.bootstrap-token-deleted" }
func (BootstrapTokenReleased) EventType() string    { return "device.bootstrap-token-released" }
func (DeclarationsFetched) EventType() string       { return "device.declarations-fetched" }
func (DeclarationStatusReported) EventType() string { return "device.declaration-status-reported" }
func (IdentityPinned) EventType() string            { return "device.identity-pinned" }
func (IdentityAttested) EventType() string          { return "device.identity-attested" }
func (IdentityReplaced) EventType() string          { return "device.identity-replaced" }
func (IdentityRefused) EventType() string           { return "device.identity-refused" }
func (CommandQueued) EventType() string             { return "device.command-queued" }
func (CommandDelivered) EventType() string          { return "device.command-delivered" }
func (CommandAcknowledged) EventType() string       { return "device.command-acknowledged" }
func (CommandFailed) EventType() string             { return "device.command-failed" }
func (CommandFormatRejected) EventType() string     { return "device.command-format-rejected" }
func (CommandDeferred) EventType() string           { return "device.command-deferred" }
func (CommandCancelled) EventType() string          { return "device.command-cancelled" }
func (CommandSuperseded) EventType() string         { return "device.command-superseded" }
func (CommandExpired) EventType() string            { return "device.command-expired" }
func (ResultUnmatched) EventType() string           { return "device.result-unmatched" }
func (PushRequested) EventType() string             { return "device.push-requested" }
func (PushAccepted) EventType() string              { return "device.push-accepted" }
func (PushRefused) EventType() string               { return "device.push-refused" }
func (PresumedUnmanaged) EventType() string         { return "device.presumed-unmanaged" }
func (Seen) EventType() string                      { return "device.seen" }
func (MessageUnrecognised) EventType() string       { return "device.message-unrecognised" }
func (SubjectErased) EventType() string             { return "device.subject-erased" }

// SealSubject names whose keys seal the event: the user's of a user channel, else the device's. It stands at
// the events that hold a user's own data; see also SealSubjectLater. All others are the device's.
func (e TokenUpdated) SealSubject() string        { return string(e.Channel) }
func (e UserAuthenticated) SealSubject() string   { return string(e.Channel) }
func (e CommandQueued) SealSubject() string       { return string(e.Channel) }
func (e CommandCancelled) SealSubject() string    { return string(e.Channel) }
func (e CommandAcknowledged) SealSubject() string { return string(e.Channel) }
func (e CommandFailed) SealSubject() string       { return string(e.Channel) }
func (e CommandFormatRejected) SealSubject() string {
	return string(e.Channel)
}
func (e ResultUnmatched) SealSubject() string           { return string(e.Channel) }
func (e DeclarationStatusReported) SealSubject() string { return string(e.Channel) }

// SealSubjectLater is a SealSubject that came later: the first of these events were sealed for the device, whatever
// their channel.
func (e CommandDelivered) SealSubjectLater() string    { return string(e.Channel) }
func (e CommandDeferred) SealSubjectLater() string     { return string(e.Channel) }
func (e CommandExpired) SealSubjectLater() string      { return string(e.Channel) }
func (e DeclarationsFetched) SealSubjectLater() string { return string(e.Channel) }
func (e Seen) SealSubjectLater() string                { return string(e.Channel) }
func (e MessageUnrecognised) SealSubjectLater() string { return string(e.Channel) }
