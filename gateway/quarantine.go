package gateway

import (
	"context"
	"net/http"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

// checkQuarantine refuses a file that has crashed the converter before.
func (u *upload) checkQuarantine() error {
	ctx, cancel := context.WithTimeout(u.ctx, storeTimeout)
	defer cancel()
	switch yes, err := u.g.jobs.Quarantined(ctx, u.sha256); {
	case err != nil:
		return httpapi.Trouble(err)
	case yes:
		why := job.Failure{Code: job.Quarantined}
		return httpapi.NewProblem(http.StatusUnprocessableEntity, string(why.Code), why.Sentence()+" "+why.Advice())
	}
	return nil
}
