package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// huma has its errors made by two variables of its own; they are set once for all
// services of a process.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return fromHuma(nil, status, message, errs...)
	}
	huma.NewErrorWithContext = fromHuma
})

// NewAPI returns a mux and an API on it whose errors are problems and whose
// description stands at /openapi.json, as it is at the first request for it. What no route matches is answered with a
// problem too.
func NewAPI(title, version, description string) (*http.ServeMux, huma.API) {
	useProblems()
	mux := http.NewServeMux()
	config := huma.DefaultConfig(title, version)
	config.Info.Description = description
	config.DocsPath = ""     // it would load scripts from elsewhere
	config.SchemasPath = ""  // the description has them
	config.OpenAPIPath = ""  // huma makes it at the first request without a lock
	config.CreateHooks = nil // no $schema in the answers
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{noteProblem}
	api := humago.New(mux, config)
	description31 := sync.OnceValues(func() ([]byte, error) { return json.Marshal(api.OpenAPI()) })
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		b, err := description31()
		if err != nil {
			Internal(err).Write(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(b)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { noRoute(mux, w, r) })
	return mux, api
}

// noteProblem completes problems that handlers return.
func noteProblem(ctx huma.Context, _ string, v any) (any, error) {
	if p, ok := v.(*Problem); ok {
		note(ctx.Context(), p)
	}
	return v, nil
}

// noRoute answers what no route matches.
func noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		if _, pattern := mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if allowed == nil {
		NewProblem(http.StatusNotFound, "not_found", "There is nothing at this address.").Write(w, r)
		return
	}
	p := NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "This address does not take "+r.Method+".")
	p.WithHeader("Allow", strings.Join(allowed, ", ")).Write(w, r)
}

// AsProblem returns the problem in err, or [Internal] around it.
func AsProblem(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return Internal(err)
}
