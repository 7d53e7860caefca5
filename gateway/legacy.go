package gateway

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// This file has the routes of the Python project, for its clients. /login is
// passed on to the auth service like all that has to do with accounts.

// legacyUpload takes a form with one file in any field.
func (g *Gateway) legacyUpload(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	j, _, err := g.receive(ctx, true)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", "text/plain; charset=utf-8")
		ctx.SetHeader("Location", jobPath(j.ID))
		ctx.SetStatus(http.StatusOK)
		_, _ = ctx.BodyWriter().Write([]byte("success!"))
	}}, nil
}

type legacyDownloadInput struct {
	FID string `query:"fid" required:"true" doc:"The job's ID"`
}

func (g *Gateway) legacyDownload(ctx context.Context, in *legacyDownloadInput) (*huma.StreamResponse, error) {
	return g.serveAudio(ctx, in.FID, false)
}
