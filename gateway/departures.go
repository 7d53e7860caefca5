package gateway

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// Departures notes the owners whose accounts were deleted, so that their jobs and files
// are removed.
type Departures interface {
	// Depart may be called again for the same owner.
	Depart(ctx context.Context, owner string) error
}

// registerDepartures adds the route by which the auth service tells that an account was
// deleted: the token is the message. It is the user's, and good for this only; auth
// alone makes such ones, and says so until it is answered 204, which comes when the
// departure is written down.
func (g *Gateway) registerDepartures(api huma.API) {
	if g.departures == nil {
		return
	}
	huma.Register(api, huma.Operation{
		OperationID: "depart", Method: http.MethodDelete, Path: "/v1/jobs", DefaultStatus: http.StatusNoContent,
		Summary:     "Remove all jobs of a user who has deleted the account (for the auth service)",
		Description: "Takes a token with the scope jobs:purge, which the auth service makes for itself alone.",
		Security:    []map[string][]string{{"bearer": {}}},
		Errors:      []int{401, 403, 422, 500, 503, 507},
	}, g.depart)
}

type departInput struct {
	Header string `header:"Authorization" hidden:"true"`
}

func (g *Gateway) depart(ctx context.Context, in *departInput) (*struct{}, error) {
	c, p := g.claimsOf(ctx, in.Header)
	if p != nil {
		return nil, p
	}
	if !c.May(token.ScopeJobsPurge) {
		return nil, insufficient(token.ScopeJobsPurge)
	}
	httpapi.SetUser(ctx, c.Subject)
	if err := g.departures.Depart(ctx, c.Subject); err != nil {
		return nil, httpapi.Trouble(err)
	}
	g.logger.InfoContext(ctx, "an account was deleted; its jobs are being removed", "user", c.Subject)
	return nil, nil
}
