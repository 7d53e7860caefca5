package jobstore

import (
	"sync"
	"testing"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestIdentity: a database has one ID, whoever asks first, and no other has it.
func TestIdentity(t *testing.T) {
	t.Parallel()
	seen := map[string]kind{}
	for _, kind := range append(kinds, kinds...) {
		url := newURL(t, kind)
		s, other := open(t, url), open(t, url)
		ids := make([]string, 8)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				asked := s
				if i%2 == 1 {
					asked = other
				}
				id, walks, err := asked.Identity(t.Context())
				if err != nil || !job.ValidID(id) || walks != 0 {
					t.Errorf("%s: %q, %d walks, %v", kind, id, walks, err)
				}
				ids[i] = id
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("%s: %s and %s", kind, ids[0], id)
			}
		}
		if of, known := seen[ids[0]]; known {
			t.Errorf("%s has the ID of another %s", kind, of)
		}
		seen[ids[0]] = kind
		for range 3 {
			wg.Go(func() {
				if err := s.CountWalk(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if id, walks, err := other.Identity(t.Context()); id != ids[0] || walks != 3 || err != nil {
			t.Errorf("%s: after 3 walks: %s, %d, %v", kind, id, walks, err)
		}
	}
}
