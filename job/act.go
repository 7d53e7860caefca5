package job

import "time"

// Action is what an administrator did to a job of another user.
type Action string

// The actions. The first four only look.
const (
	// ActList looked at a page of the jobs of all users.
	ActList   Action = "list"
	ActView   Action = "view"
	ActEvents Action = "events"
	// ActAudio fetched the MP3.
	ActAudio  Action = "audio"
	ActCancel Action = "cancel"
	ActRetry  Action = "retry"
	ActDelete Action = "delete"
	// ActQueues changed something about the queues, and so about everybody's jobs.
	ActQueues Action = "queues"
)

// Looks reports whether the action changes nothing.
func (a Action) Looks() bool {
	switch a {
	case ActList, ActView, ActEvents, ActAudio:
		return true
	}
	return false
}

// Act is an entry of the audit log of jobs.
type Act struct {
	// ID is a UUID of version 7.
	ID string
	// At is when it was noted.
	At time.Time
	// Actor is the administrator's account, and its address then.
	Actor, ActorEmail string
	// Place is where the request came from, as far as it is known.
	Place  string
	Action Action
	// JobID and Owner say whose job it was; both are empty if it was the list of all.
	JobID, Owner string
	// Detail is one line for people.
	Detail string
	// Once is a text that only one entry has, at most 64 characters of ASCII: a second act
	// that has the same is not noted. Empty: the act stands for itself.
	Once string
}

// ActQuery asks for entries of the audit log. Fields that are not empty all have to fit.
type ActQuery struct {
	Actor, JobID, Owner string
	// Before is the ID of the last entry of the page before.
	Before string
	// Limit is the most entries to give.
	Limit int
}
