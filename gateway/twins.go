package gateway

import (
	"context"
	"errors"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

// join looks for an earlier job of the same bytes and settings, and has it answer this
// upload: joined is set then. One that cannot answer, since it has failed or its MP3 is
// gone, makes room for a new one.
func (u *upload) join(sub job.Submission) error {
	if sub.Twin == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(u.ctx, storeTimeout)
	defer cancel()
	for range maxRaces {
		old, err := u.g.jobs.Twin(ctx, sub.Twin)
		if errors.Is(err, job.ErrNotFound) {
			return nil
		}
		there := err == nil && old.State.Active()
		if err == nil && old.State == job.Succeeded && old.Result != nil {
			there, err = u.g.bucket.exists(ctx, old.Result.Key)
		}
		if err != nil {
			return httpapi.Trouble(err)
		}
		if there {
			joined, err := u.g.jobs.Join(ctx, old.ID, sub)
			switch {
			case err == nil:
				u.joined = &joined
				u.g.publish(ctx, joined.ID)
				return nil
			case errors.Is(err, job.ErrLost):
				return keyInUse().WithCause(err)
			case !errors.Is(err, job.ErrConflict) && !errors.Is(err, job.ErrNotFound):
				return httpapi.Trouble(err)
			case old.State.Active():
				continue // it has just ended
			}
		}
		if err := u.g.jobs.Displace(ctx, old.ID, sub.Twin); err != nil {
			return httpapi.Trouble(err)
		}
	}
	return conflict("conflict", "An earlier job of the same file keeps changing. Try again.")
}
