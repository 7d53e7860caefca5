package jobs

import (
	"fmt"

	"github.com/mp3lathe/mp3lathe/job"
)

// How long the texts of an act may be, in bytes; longer ones are cut.
const (
	maxEmail  = 255
	maxPlace  = 64
	maxDetail = 500
	maxOnce   = 64
)

// Noted is an act as the stores keep it. It fails if the act names nobody, or what cannot
// be kept whole.
func Noted(a job.Act) (job.Act, error) {
	switch {
	case !job.ValidID(a.ID):
		return a, fmt.Errorf("%q is not the ID of an act", a.ID)
	case !ValidOwner(a.Actor):
		return a, fmt.Errorf("%q is not the ID of an administrator", a.Actor)
	case a.Action == "":
		return a, fmt.Errorf("act %s is none", a.ID)
	case a.JobID != "" && !job.ValidID(a.JobID):
		return a, fmt.Errorf("%q is not the ID of a job", a.JobID)
	case a.Owner != "" && !ValidOwner(a.Owner):
		return a, fmt.Errorf("%q is not the ID of a user", a.Owner)
	case len(a.Once) > maxOnce:
		return a, fmt.Errorf("%q is too long for what is noted once", a.Once)
	case a.Once == "":
		a.Once = a.ID
	}
	a.ActorEmail, a.Place, a.Detail = Clip(a.ActorEmail, maxEmail), Clip(a.Place, maxPlace), Clip(a.Detail, maxDetail)
	return a, nil
}

// Findable reports whether there can be an act of what a query asks for: SQL does not
// compare all texts with those in its columns.
func Findable(q job.ActQuery) bool {
	return (q.Actor == "" || ValidOwner(q.Actor)) && (q.Owner == "" || ValidOwner(q.Owner)) && (q.JobID == "" || job.ValidID(q.JobID))
}
