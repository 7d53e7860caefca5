package account

// Departure is of an account that was deleted, and whose jobs are still to be removed.
type Departure struct {
	// User is the ID that the account had.
	User string
	// Tries counts how often it has been begun to tell the gateway.
	Tries int
}
