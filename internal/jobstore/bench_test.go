package jobstore

import (
	"testing"

	"github.com/mp3lathe/mp3lathe/job"
)

// BenchmarkJob is what the store costs a job that succeeds at once: five calls.
func BenchmarkJob(b *testing.B) {
	for _, kind := range kinds {
		b.Run(string(kind), func(b *testing.B) {
			s := newStore(b, kind)
			for b.Loop() {
				j := insert(b, s)
				j = claim(b, s, j.ID, lease)
				if err := s.Heartbeat(b.Context(), j.ID, j.Attempt, job.Progress{}, lease); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Succeed(b.Context(), j.ID, j.Attempt, result, retention); err != nil {
					b.Fatal(err)
				}
				get(b, s, j.ID)
			}
		})
	}
}
