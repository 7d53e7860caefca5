// Package monitor is a page that shows the queues, their tasks and servers: Asynqmon. It
// is a package of its own since the page takes 2 MB, which others need not carry.
package monitor

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
)

// page serves Asynqmon. It asks nobody who he is.
type page struct {
	root    string
	changes bool
	monitor *asynqmon.HTTPHandler
	index   []byte
	policy  string
}

// New makes a page about the queues in a Redis, and what closes its connections. It does
// not connect.
//
// root is the path that the page lies at, such as /admin/queues, without a slash at its
// end; empty is the root of the host. With changes its users may pause queues, and run,
// archive and remove tasks. (The jobs' rows are the truth: what is removed of a job that
// waits is queued again by the sweeper.)
func New(at redisconn.Address, root string, changes bool) (handler http.Handler, closePage func() error, err error) {
	opt, err := at.Options()
	if err != nil {
		return nil, nil, fmt.Errorf("queue: %w", err)
	}
	if root != "" && (!strings.HasPrefix(root, "/") || path.Clean(root) != root || root == "/") {
		return nil, nil, fmt.Errorf("queue: %q is no path for a page", root)
	}
	p := &page{root: root, changes: changes, monitor: asynqmon.New(asynqmon.Options{RootPath: root, RedisConnOpt: connection{opt}, ReadOnly: !changes})}
	if err := p.makeIndex(); err != nil {
		return nil, nil, errors.Join(err, p.monitor.Close())
	}
	return p, p.monitor.Close, nil
}

// connection implements [asynq.RedisConnOpt]; its own kinds know no pipes.
type connection struct{ opt *redis.Options }

// MakeRedisClient implements [asynq.RedisConnOpt].
func (c connection) MakeRedisClient() any {
	opt := *c.opt // a client completes its own
	return redis.NewClient(&opt)
}

var (
	// unwanted are links to fonts of a company that is to learn nothing of us, and to a
	// manifest, for which browsers ask without cookies.
	unwanted = regexp.MustCompile(`<link[^>]*(?:"https://fonts\.googleapis\.com/|rel="manifest")[^>]*>`)
	inline   = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
)

// makeIndex makes the page's HTML, which is the same at all times, and the policy that
// lets its own scripts run, and no others.
func (p *page) makeIndex() error {
	r, err := http.NewRequest(http.MethodGet, p.root+"/", http.NoBody)
	if err != nil {
		return err
	}
	var out answer
	p.monitor.ServeHTTP(&out, r)
	p.index = unwanted.ReplaceAll(out.Bytes(), nil)
	scripts := inline.FindAllSubmatch(p.index, -1)
	if len(scripts) == 0 || bytes.Contains(p.index, []byte("://")) {
		return errors.New("queue: the page of the queues is not as it was")
	}
	var hashes strings.Builder
	for _, s := range scripts {
		sum := sha256.Sum256(s[1])
		hashes.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
	}
	// Its widgets bring their styles along.
	p.policy = "default-src 'none'; script-src 'self'" + hashes.String() + "; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return nil
}

// answer is kept.
type answer struct {
	bytes.Buffer
	header http.Header
}

// Header implements [http.ResponseWriter].
func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(int) {}

// ServeHTTP implements [http.Handler], for requests whose path lies below root.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	rest := strings.TrimPrefix(r.URL.Path, p.root)
	api := strings.HasPrefix(rest, "/api/")
	if !reads && (!p.changes || !api) {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "This page shows the queues, and changes nothing.", http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", p.policy)
	switch {
	case api:
		header.Set("Content-Type", "application/json")
		p.monitor.ServeHTTP(w, r)
	case path.Ext(rest) == ".svg":
		p.monitor.ServeHTTP(picture{w}, r)
	case path.Ext(rest) != "":
		p.monitor.ServeHTTP(w, r)
	default: // each of the page's addresses
		header.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(p.index)
	}
}

// picture gives pictures in SVG their type, without which browsers do not show them.
type picture struct{ http.ResponseWriter }

// Write implements [http.ResponseWriter].
func (p picture) Write(b []byte) (int, error) {
	p.Header().Set("Content-Type", "image/svg+xml")
	return p.ResponseWriter.Write(b)
}
