package gateway_test

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mp3lathe/mp3lathe/gateway"
)

// contract is the description that a gateway serves, against which every answer of
// these tests is held.
type contract struct {
	doc map[string]any

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

func readContract(t *testing.T, body string) *contract {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{doc: v.(map[string]any), compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("http://gateway/openapi.json", v); err != nil {
		t.Fatal(err)
	}
	return c
}

// path returns the path of the description that a request's path is an instance of.
func (c *contract) path(p string) string {
	parts := strings.Split(p, "/")
	for template := range c.doc["paths"].(map[string]any) {
		want := strings.Split(template, "/")
		if len(want) != len(parts) {
			continue
		}
		fits := true
		for i := range want {
			fits = fits && (want[i] == parts[i] || strings.HasPrefix(want[i], "{"))
		}
		if fits {
			return template
		}
	}
	return ""
}

// check holds an answer against the description of its operation: the status is
// one of those described, its content type too, and JSON fits its schema.
func (c *contract) check(r *http.Request, res *http.Response, body []byte) error {
	switch r.URL.Path {
	case "/livez", "/readyz", "/openapi.json": // for operators and programs, no part of the API
		return nil
	}
	if res.StatusCode < 400 && strings.HasPrefix(r.URL.Path, gateway.QueuesPath) {
		return nil // another's page
	}
	template := c.path(r.URL.Path)
	where := "#/components/schemas/Problem"
	mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	item, _ := c.doc["paths"].(map[string]any)[template].(map[string]any)
	op, described := item[strings.ToLower(r.Method)].(map[string]any)
	switch {
	case template == "" || !described:
		if res.StatusCode < 400 {
			return fmt.Errorf("%s %s is not described", r.Method, r.URL.Path)
		}
	default:
		responses := op["responses"].(map[string]any)
		status := strconv.Itoa(res.StatusCode)
		response, ok := responses[status].(map[string]any)
		if !ok {
			if status = "default"; responses[status] == nil {
				return fmt.Errorf("%s %s: the status %d is not described", r.Method, template, res.StatusCode)
			}
			response = responses[status].(map[string]any)
		}
		if len(body) == 0 {
			return nil
		}
		content, _ := response["content"].(map[string]any)
		if content[mediaType] == nil {
			return fmt.Errorf("%s %s: %d with %q is not described", r.Method, template, res.StatusCode, mediaType)
		}
		where = "#/paths/" + escape(template) + "/" + strings.ToLower(r.Method) + "/responses/" + status + "/content/" + escape(mediaType) + "/schema"
	}
	if !strings.HasSuffix(mediaType, "json") || r.Method == http.MethodHead {
		return nil
	}
	return c.fits(where, body)
}

func (c *contract) fits(where string, body []byte) error {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
	if err != nil {
		return fmt.Errorf("%w in %s", err, body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.compiled[where]
	if s == nil {
		if s, err = c.compiler.Compile("http://gateway/openapi.json" + where); err != nil {
			return err
		}
		c.compiled[where] = s
	}
	if err := s.Validate(v); err != nil {
		return fmt.Errorf("%w\nin %s", err, body)
	}
	return nil
}

func escape(s string) string {
	s = strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
	return strings.NewReplacer("{", "%7B", "}", "%7D").Replace(s)
}

// TestContract: the check itself notices what does not fit.
func TestContract(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	where := "#/components/schemas/JobBody"
	var j map[string]any
	decode(t, r.upload(t, "alice", clip), &j)
	good, _ := json.Marshal(j)
	if err := r.contract.fits(where, good); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(map[string]any){
		"a missing field":  func(m map[string]any) { delete(m, "state") },
		"an unknown state": func(m map[string]any) { m["state"] = "lost" },
		"an unknown field": func(m map[string]any) { m["secret"] = 1 },
		"no time":          func(m map[string]any) { m["created_at"] = "yesterday" },
	} {
		var bad map[string]any
		_ = json.Unmarshal(good, &bad)
		spoil(bad)
		b, _ := json.Marshal(bad)
		if r.contract.fits(where, b) == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
