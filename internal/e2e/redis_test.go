package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// TestGatewayWithoutRedis: gateway and auth with nothing but files serve users, a load
// balancer is told so, and the gateway describes what both serve.
func TestGatewayWithoutRedis(t *testing.T) {
	dir := t.TempDir()
	keygen := run(t, "auth", nil, "keygen")
	<-keygen.done
	key := filepath.Join(dir, "auth.key")
	must(t, os.WriteFile(key, []byte(keygen.out.String()), 0o600))
	front, behind := freeAddress(t), freeAddress(t)
	env := []string{"MP3LATHE_DATABASE=sqlite:" + filepath.Join(dir, "all.db")}
	run(t, "auth", env, "--listen", behind, "--auth-key-file", key)
	run(t, "gateway", env, "--listen", front, "--auth-url", "http://"+behind, "--redis", "redis://"+freeAddress(t)+"/0",
		"--bucket", "file://"+filepath.Join(dir, "bucket"), "--public-url", "http://"+front, "--link-key", "a key of links that has more than 32 characters")
	var ready struct {
		Status string
		Checks map[string]string
	}
	eventually(t, time.Minute, "the gateway is ready", func() bool {
		res, err := http.Get("http://" + front + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		must(t, json.NewDecoder(res.Body).Decode(&ready))
		return res.StatusCode == http.StatusOK
	})
	if ready.Status != "ready" || ready.Checks["redis"] != "unavailable" || ready.Checks["database"] != "ok" || ready.Checks["tokens"] != "ok" {
		t.Errorf("%+v", ready)
	}
	c := &client.Client{Base: "http://" + front}
	must(t, c.Register(t.Context(), "anna@example.org", password))
	must(t, c.Login(t.Context(), "anna@example.org", password))
	sameDescription(t, "http://"+front, "http://"+behind)
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
