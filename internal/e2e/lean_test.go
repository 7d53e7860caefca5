package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// linkKey is a key of signed links.
const linkKey = "a key of links that has more than 32 characters"

// lean is as much of the system as takes uploads: auth on files, and gateways beside it.
type lean struct {
	t      *testing.T
	dir    string
	env    []string
	behind string // auth's address
	auth   *service
}

// newLean starts auth, with flags.
func newLean(t *testing.T, flags ...string) *lean {
	t.Helper()
	dir := t.TempDir()
	l := &lean{t: t, dir: dir, behind: freeAddress(t), env: []string{"MP3LATHE_DATABASE=sqlite:" + filepath.Join(dir, "all.db")}}
	l.auth = run(t, "auth", l.env, append([]string{"--listen", l.behind, "--auth-key-file", newFile(t, dir, "auth.key", newAuthKey(t))}, flags...)...)
	return l
}

// gateway starts one at an address, and waits until it is ready. Without --redis among
// the flags it has a Redis that nobody answers at.
func (l *lean) gateway(front string, flags ...string) *service {
	l.t.Helper()
	args := []string{
		"--listen", front, "--auth-url", "http://" + l.behind, "--redis", "redis://" + freeAddress(l.t) + "/0",
		"--bucket", "file://" + filepath.Join(l.dir, "bucket"), "--public-url", "http://" + front, "--link-key", linkKey,
	}
	s := run(l.t, "gateway", l.env, append(args, flags...)...)
	awaitReady(l.t, "http://"+front)
	return s
}

// newFile makes a file that nobody else may read, and returns its path.
func newFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// newAuthKey is a key of auth.
func newAuthKey(t *testing.T) string {
	t.Helper()
	keygen := run(t, "auth", nil, "keygen")
	<-keygen.done
	return keygen.out.String()
}

// readiness is what /readyz answers.
type readiness struct {
	Status string
	Checks map[string]string
}

// awaitReady waits until a gateway is ready.
func awaitReady(t *testing.T, base string) (r readiness) {
	t.Helper()
	eventually(t, time.Minute, "the gateway is ready", func() bool {
		res, err := http.Get(base + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return json.NewDecoder(res.Body).Decode(&r) == nil && res.StatusCode == http.StatusOK
	})
	return r
}
