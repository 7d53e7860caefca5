package e2e

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// TestGatewayWithoutRedis: gateway and auth with nothing but files serve users, a load
// balancer is told so, and the gateway describes what both serve.
func TestGatewayWithoutRedis(t *testing.T) {
	l, front := newLean(t), freeAddress(t)
	l.gateway(front)
	ready := awaitReady(t, "http://"+front)
	if ready.Status != "ready" || ready.Checks["redis"] != "unavailable" || ready.Checks["database"] != "ok" || ready.Checks["tokens"] != "ok" {
		t.Errorf("%+v", ready)
	}
	c := &client.Client{Base: "http://" + front}
	must(t, c.Register(t.Context(), "anna@example.org", password))
	must(t, c.Login(t.Context(), "anna@example.org", password))
	sameDescription(t, "http://"+front, "http://"+l.behind)
	j, err := c.Upload(t.Context(), "melody.mp4", newReader([]byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom")), nil)
	if err != nil || j.State != "queued" {
		t.Errorf("an upload: %+v, %v", j, err)
	}
}

// sameDescription checks that a gateway says of the routes of accounts what the auth
// service says.
func sameDescription(t *testing.T, gateway, auth string) {
	t.Helper()
	type description struct {
		Paths      map[string]any
		Components struct{ Schemas map[string]any }
	}
	describe := func(base string) (d description) {
		res, err := http.Get(base + "/openapi.json")
		must(t, err)
		defer res.Body.Close()
		must(t, json.NewDecoder(res.Body).Decode(&d))
		return d
	}
	got, want := describe(gateway), describe(auth)
	if len(want.Paths) < 6 || len(want.Components.Schemas) < 5 {
		t.Fatalf("auth describes %d routes with %d schemas", len(want.Paths), len(want.Components.Schemas))
	}
	for path := range want.Paths {
		if !reflect.DeepEqual(got.Paths[path], want.Paths[path]) {
			t.Errorf("%s: the gateway says\n%v\nand auth\n%v", path, got.Paths[path], want.Paths[path])
		}
	}
	for name := range want.Components.Schemas {
		if !reflect.DeepEqual(got.Components.Schemas[name], want.Components.Schemas[name]) {
			t.Errorf("%s: the gateway says\n%v\nand auth\n%v", name, got.Components.Schemas[name], want.Components.Schemas[name])
		}
	}
}
