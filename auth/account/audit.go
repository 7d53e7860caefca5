package account

import "time"

// Quota is what a user may take up, where that is not what all others may. nil fields
// are as for all; 0 is no limit. Its JSON is what the stores keep, and what tokens tell.
type Quota struct {
	// Jobs that may wait.
	Jobs *int64 `json:"jobs,omitempty"`
	// DailyBytes of uploads a day.
	DailyBytes *int64 `json:"daily_bytes,omitempty"`
	// StoredBytes of all files.
	StoredBytes *int64 `json:"stored_bytes,omitempty"`
}

// Action is what an administrator did.
type Action string

// The actions.
const (
	// ActCreate made an account, by the command.
	ActCreate Action = "create"
	ActLock   Action = "lock"
	ActUnlock Action = "unlock"
	// ActLogout ended all sessions of a user.
	ActLogout Action = "logout"
	// ActReset had a mail for a new password sent.
	ActReset Action = "reset"
	ActQuota Action = "quota"
	// ActView looked at accounts.
	ActView Action = "view"
)

// Act is an entry of the audit log.
type Act struct {
	// ID is a UUID of version 7.
	ID string
	// At is when it was done.
	At time.Time
	// Actor is the administrator's account, and its address then; both are empty for the
	// command.
	Actor, ActorEmail string
	// Place is where the request came from, as far as it is known.
	Place  string
	Action Action
	// Subject is the ID of the account that it was done to; empty if it was not one.
	Subject string
	// Detail is one line for people.
	Detail string
}

// UserQuery asks for accounts.
type UserQuery struct {
	// Email that their addresses begin with, by [EmailKey]; empty for all.
	Email string
	// After is the address of the last account of the page before.
	After string
	// Limit is the most accounts to give.
	Limit int
}
