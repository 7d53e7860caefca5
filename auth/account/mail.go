package account

import "time"

// MailKind is what a mail is about.
type MailKind string

// The kinds of mails.
const (
	// MailVerify has a link that verifies the address.
	MailVerify MailKind = "verify"
	// MailReset has a link that sets a new password.
	MailReset MailKind = "reset"
	// MailTaken tells that somebody wanted to register with an address that has an
	// account.
	MailTaken MailKind = "taken"
	// MailChanged tells that the password was changed.
	MailChanged MailKind = "changed"
	// MailKey tells that an API key was made.
	MailKey MailKind = "key"
	// MailLinked tells that an identity was linked to the account, MailUnlinked that one
	// was taken from it.
	MailLinked   MailKind = "linked"
	MailUnlinked MailKind = "unlinked"
	// MailDeleted tells that the account was deleted.
	MailDeleted MailKind = "deleted"
	// MailNone is never sent. It stands where a mail would, if there were an account:
	// to find out that there is none takes as long.
	MailNone MailKind = "none"
)

// Mail is a mail that is to be sent, or was.
type Mail struct {
	// ID is a UUID of version 7. The secret in a link is made of it.
	ID string
	// To is the address.
	To   string
	Kind MailKind
	// Token is the digest of the secret in its link; empty if it has none.
	Token string
	// Created is when it was asked for, Expires when its link, or the sending of it,
	// ends.
	Created, Expires time.Time
	// Tries counts how often it has been begun to send it.
	Tries int
}

// NewMail is a mail that is to be kept.
type NewMail struct {
	// Mail without its times.
	Mail
	// User is the account's ID; empty for [MailNone].
	User string
	// Lifetime until it expires.
	Lifetime time.Duration
	// Hold keeps it without sending it, where there is no mail server.
	Hold bool
}

// MailLimits bound how many mails of one kind an address gets.
type MailLimits struct {
	// Gap is the least time between two, Most how many there may be in Span.
	Gap, Span time.Duration
	Most      int
}
