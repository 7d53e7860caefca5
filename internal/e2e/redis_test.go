package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// TestGatewayWithoutRedis: gateway and auth with nothing but files serve users, and a
// load balancer is told so.
func TestGatewayWithoutRedis(t *testing.T) {
	dir := t.TempDir()
	keygen := run(t, "auth", nil, "keygen")
	<-keygen.done
	key := filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(key, []byte(keygen.out.String()), 0o600))
	front, behind := freeAddress(t), freeAddress(t)
	env := []string{"MP3LATHE_DATABASE=sqlite:" + filepath.Join(dir, "all.db")}
	run(t, "auth", env, "--listen", behind, "--signing-key-file", key)
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
	j, err := c.Upload(t.Context(), "melody.mp4", newReader([]byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom")), nil)
	if err != nil || j.State != "queued" {
		t.Errorf("an upload: %+v, %v", j, err)
	}
}
