package token

import (
	"crypto/ed25519"
	"sync"
)

// seen remembers tokens whose signature was good, for a user sends the same one with
// each request, and the signature is most of what it costs to check it. Whether its
// time has come or is over, and whether its key is still good, is asked each time.
type seen struct {
	mu     sync.Mutex
	tokens map[string]signed
}

// signed is a token whose signature was good by a key.
type signed struct {
	payload payload
	kid     string
	key     ed25519.PublicKey
}

// maxSeen tokens of less than 1 KiB are a MiB.
const maxSeen = 1024

func (s *seen) get(raw string) (signed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tokens[raw]
	return t, ok
}

func (s *seen) put(raw string, t signed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil || len(s.tokens) >= maxSeen {
		s.tokens = map[string]signed{} // those in use are soon there again
	}
	s.tokens[raw] = t
}
