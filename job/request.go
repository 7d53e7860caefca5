package job

// RequestKey names a request of a user's that is to have its effect once, however
// often it is sent, and who works on it.
type RequestKey struct {
	// Owner is the user whose key it is. Keys of different users never meet.
	Owner string
	// Name is the SHA-256 (hex) of the key that the user has chosen.
	Name string
	// Holder is who works on the request: a name that nobody else has.
	Holder string
}

// Request is what tells requests apart that come under one key. Its texts are at most
// 64 characters of ASCII.
type Request struct {
	// Head stands for what is known before the body has come.
	Head string
	// Body stands for what the body says; empty for a request that has none, or was
	// answered without it.
	Body string
	// Bytes of the body, if the head tells; -1 if it does not.
	Bytes int64
}

// Keyed is a request under its key. What is done under it is done only while its
// holder holds the key.
type Keyed struct {
	RequestKey
	Request
}

// Answer is what was answered to a request.
type Answer struct {
	// Status of HTTP; 0 if there is no answer (yet).
	Status int
	// Header has the fields that belong to the content.
	Header map[string]string
	Body   string
}

// KeyRecord is what is known of a key.
type KeyRecord struct {
	Request
	// JobID is the job that the request has made or changed; empty before.
	JobID string
	// Held reports that somebody works on the request. Without an answer and a job,
	// a key that is not held is anybody's.
	Held   bool
	Answer Answer
}
