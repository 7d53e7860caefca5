package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

type thingInput struct {
	Name  string `path:"name" maxLength:"5"`
	Limit int    `query:"limit" minimum:"1" maximum:"10" default:"3"`
}

type thingOutput struct {
	Body struct {
		Name string `json:"name"`
	}
}

// refuser is an input whose resolver has a problem of its own.
type refuser struct{}

func (*refuser) Resolve(huma.Context) []error {
	return []error{httpapi.NewProblem(http.StatusGone, "gone_for_good", "It is gone.")}
}

var errSecret = errors.New("dial tcp 10.1.2.3:3306: no route")

func api(l *lines) http.Handler {
	mux, a := httpapi.NewAPI("things", "1.2.3", "Things.")
	huma.Get(a, "/things/{name}", func(ctx context.Context, in *thingInput) (*thingOutput, error) {
		switch in.Name {
		case "plain":
			return nil, fmt.Errorf("get %s: %w", in.Name, errSecret)
		case "down":
			return nil, fmt.Errorf("wrapped: %w", httpapi.Unavailable(errSecret, 7*time.Second))
		case "mine":
			httpapi.SetUser(ctx, "user-1")
			return nil, httpapi.NewProblem(http.StatusConflict, "busy", "It is busy.").WithField("path.name", "busy")
		case "panic":
			panic(errSecret)
		}
		out := &thingOutput{}
		out.Body.Name = in.Name
		return out, nil
	})
	huma.Post(a, "/things", func(_ context.Context, in *struct {
		Body struct {
			Name string `json:"name" minLength:"2"`
		}
	}) (*thingOutput, error) {
		return &thingOutput{}, nil
	})
	huma.Delete(a, "/things", func(context.Context, *refuser) (*thingOutput, error) { return &thingOutput{}, nil })
	return httpapi.Observe(mux, l.logger(), time.Second, nil)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	l := &lines{}
	h := api(l)
	w := serve(h, "GET", "/things/bolt", "")
	if w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"name":"bolt"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for name, value := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "application/json",
	} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestProblems: whatever goes wrong, and whoever finds it, the answer is a problem
// that tells the user what is his, and none of what is ours.
func TestProblems(t *testing.T) {
	t.Parallel()
	l := &lines{}
	h := api(l)
	p := problem(t, serve(h, "GET", "/things/toolong?limit=11", ""), 422, "invalid_input")
	if len(p.Errors) != 2 || p.Errors[0].Location != "path.name" || p.Errors[1].Location != "query.limit" {
		t.Errorf("errors %+v", p.Errors)
	}
	p = problem(t, serve(h, "GET", "/things/x?what=1", ""), 422, "invalid_input")
	if len(p.Errors) != 1 || p.Errors[0].Location != "query.what" {
		t.Errorf("errors %+v", p.Errors)
	}
	p = problem(t, serve(h, "POST", "/things", `{"name":"x"}`), 422, "invalid_input")
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.name" {
		t.Errorf("errors %+v", p.Errors)
	}
	problem(t, serve(h, "POST", "/things", `{"name":`), 400, "bad_request")
	problem(t, serve(h, "DELETE", "/things", ""), 410, "gone_for_good")
	problem(t, serve(h, "GET", "/things/mine", ""), 409, "busy")
	w := serve(h, "GET", "/things/down", "")
	problem(t, w, 503, "unavailable")
	if got := w.Header().Get("Retry-After"); got != "7" {
		t.Errorf("Retry-After %q", got)
	}
	for _, name := range []string{"plain", "panic"} {
		w := serve(h, "GET", "/things/"+name, "")
		problem(t, w, 500, "internal")
		if strings.Contains(w.Body.String(), "10.1.2.3") || strings.Contains(w.Body.String(), ".go") {
			t.Errorf("the answer tells of our inside: %s", w.Body)
		}
	}
}

func TestNoRoute(t *testing.T) {
	t.Parallel()
	h := api(&lines{})
	problem(t, serve(h, "GET", "/nothing", ""), 404, "not_found")
	problem(t, serve(h, "PATCH", "/nothing", "{}"), 404, "not_found")
	w := serve(h, "PUT", "/things", "{}")
	problem(t, w, 405, "method_not_allowed")
	if got := w.Header().Get("Allow"); got != "POST, DELETE" {
		t.Errorf("Allow: %q", got)
	}
	w = serve(h, "OPTIONS", "/things/x", "")
	problem(t, w, 405, "method_not_allowed")
	if got := w.Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow: %q", got)
	}
}

// TestUncleanPaths: an address that is not one of ours is answered with a problem, and
// never with a redirection to what it may have meant.
func TestUncleanPaths(t *testing.T) {
	t.Parallel()
	h := api(&lines{})
	for _, path := range []string{"/things//bolt", "//things/bolt", "/things/./bolt", "/x/../things/bolt", "/things/bolt/", "/things/", "/..", "//"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			r := httptest.NewRequest(method, "http://things.example/", nil)
			r.URL.Path = path
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			problem(t, w, 404, "not_found")
		}
	}
}

// TestNoContent: an answer without content has no type of it.
func TestNoContent(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNoContent, http.StatusNotModified} {
		w := serve(httpapi.Observe(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
		}), (&lines{}).logger(), time.Second, nil), "GET", "/", "")
		if _, typed := w.Header()["Content-Type"]; w.Code != status || typed {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	}
}

// TestLog: one line a request, with what the answer does not tell.
func TestLog(t *testing.T) {
	t.Parallel()
	l := &lines{}
	h := api(l)
	for _, target := range []string{"/things/bolt?limit=4", "/things/plain", "/things/mine", "/things/panic", "/nothing?signature=secret"} {
		serve(h, "GET", target, "")
	}
	got := l.requests(t)
	if len(got) != 5 {
		t.Fatalf("%d lines", len(got))
	}
	for i, want := range []map[string]any{
		{"level": "INFO", "status": 200.0, "route": "GET /things/{name}", "method": "GET"},
		{"level": "ERROR", "status": 500.0, "code": "internal"},
		{"level": "INFO", "status": 409.0, "code": "busy", "user": "user-1"},
		{"level": "ERROR", "status": 500.0, "code": "internal"},
		{"level": "INFO", "status": 404.0, "code": "not_found"},
	} {
		for k, v := range want {
			if got[i][k] != v {
				t.Errorf("line %d: %s is %v, want %v", i, k, got[i][k], v)
			}
		}
	}
	for _, i := range []int{1, 3} {
		if s, _ := got[i]["error"].(string); !strings.Contains(s, errSecret.Error()) {
			t.Errorf("line %d does not say why: %v", i, got[i])
		}
	}
	if s, _ := got[3]["error"].(string); !strings.Contains(s, "api_test.go") {
		t.Error("the line of a panic has no stack")
	}
	if strings.Contains(l.text(), "secret") || strings.Contains(l.text(), "limit=4") {
		t.Error("a query was logged")
	}
}

// TestDescription: the description is OpenAPI 3.1 and has the problems, for all who
// ask at once.
func TestDescription(t *testing.T) {
	t.Parallel()
	h := api(&lines{})
	answers := make(chan string)
	for range 4 {
		go func() { answers <- serve(h, "GET", "/openapi.json", "").Body.String() }()
	}
	first := <-answers
	for range 3 {
		if next := <-answers; next != first {
			t.Error("two answers differ")
		}
	}
	var doc struct {
		OpenAPI    string
		Info       struct{ Title, Version string }
		Paths      map[string]any
		Components struct {
			Schemas map[string]any
		}
	}
	if err := json.Unmarshal([]byte(first), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Version != "1.2.3" || doc.Paths["/things/{name}"] == nil || doc.Components.Schemas["Problem"] == nil {
		t.Errorf("description %s", first)
	}
}

func TestAsProblem(t *testing.T) {
	t.Parallel()
	p := httpapi.NewProblem(http.StatusConflict, "busy", "It is busy.")
	if got := httpapi.AsProblem(fmt.Errorf("so: %w", p)); got != p {
		t.Errorf("got %v", got)
	}
	if got := httpapi.AsProblem(errSecret); got.Status != 500 || !errors.Is(got, errSecret) || strings.Contains(got.Error(), "10.1.2.3") {
		t.Errorf("got %v", got)
	}
}

// TestTrouble: what a part says is an outage; a problem in it stays.
func TestTrouble(t *testing.T) {
	t.Parallel()
	p := httpapi.NewProblem(http.StatusConflict, "busy", "It is busy.")
	if got := httpapi.Trouble(fmt.Errorf("so: %w", p)); got != p {
		t.Errorf("got %v", got)
	}
	full := httpapi.Trouble(&fs.PathError{Op: "write", Path: "/srv/secret", Err: syscall.ENOSPC})
	if full.Status != 507 || full.Code != "storage_full" || strings.Contains(full.Detail, "secret") {
		t.Errorf("got %v", full)
	}
	got := httpapi.Trouble(errSecret)
	if got.Status != 503 || got.Code != "unavailable" || got.GetHeaders().Get("Retry-After") == "" || !errors.Is(got, errSecret) || strings.Contains(got.Error(), "10.1.2.3") {
		t.Errorf("got %v", got)
	}
}
