package gateway

import (
	"errors"
	"net/http"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

func noJob() *httpapi.Problem {
	return httpapi.NewProblem(http.StatusNotFound, "not_found", "There is no such job.")
}

func conflict(code, detail string) *httpapi.Problem {
	return httpapi.NewProblem(http.StatusConflict, code, detail)
}

func gone(code, detail string) *httpapi.Problem {
	return httpapi.NewProblem(http.StatusGone, code, detail)
}

// storeTrouble says what it means that the store of jobs answered with an error.
func storeTrouble(err error) *httpapi.Problem {
	if errors.Is(err, job.ErrNotFound) {
		return noJob()
	}
	return httpapi.Trouble(err)
}
