package auth

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// asBrowsers is how browsers read an address before they take it apart (WHATWG URL): blanks
// at its ends, tabs and line ends are dropped, and a backslash is a slash.
func asBrowsers(address string) string {
	address = strings.TrimFunc(address, func(r rune) bool { return r <= ' ' })
	return strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(address)
}

// FuzzReturn: what is taken for a path of ours is one, for Go and for browsers, and is one
// value of a header.
func FuzzReturn(f *testing.F) {
	for _, path := range []string{"/", "/v1/jobs?limit=1#x", "//evil.example", `/\evil.example`, "/\t/evil.example", "https://evil.example", "/..//evil.example", "/%2f/x", "/x;url=y", "/\u2028"} {
		f.Add(path)
	}
	base, err := url.Parse("https://mp3.example.org/v1/auth/oidc/one/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if path == "" || checkReturn("x", path) != nil {
			return
		}
		for _, read := range []string{path, asBrowsers(path)} {
			to, err := base.Parse(read)
			if err != nil || to.Scheme != "https" || to.Host != "mp3.example.org" || to.User != nil || !strings.HasPrefix(read, "/") || strings.HasPrefix(read, "//") {
				t.Errorf("%q leads to %v, %v", path, to, err)
			}
		}
		if strings.ContainsAny(path, "\r\n\x00") {
			t.Errorf("%q is more than one line", path)
		}
	})
}

// FuzzLoopback: where a code goes is this machine, for Go and for browsers, and nowhere
// else with a code behind it.
func FuzzLoopback(f *testing.F) {
	for _, address := range []string{
		"http://127.0.0.1:1/", "http://[::1]:1", "http://127.0.0.1:1@evil.example/", "http://localhost:1/", `http://127.0.0.1:1\@evil.example/`, "http://127.0.0.1:1?x", "HTTP://127.0.0.1:1/", "http://[::1%25x]:1/", "http://127.0.0.1:/",
	} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if !loopback(address) {
			return
		}
		for _, read := range []string{address, asBrowsers(address)} {
			to, err := url.Parse(read + "?code=x")
			if err != nil {
				t.Fatalf("%q: %v", address, err)
			}
			host, err := netip.ParseAddr(to.Hostname())
			if err != nil || !host.IsLoopback() || to.User != nil || to.Port() == "" || to.Query().Get("code") != "x" || to.Fragment != "" {
				t.Errorf("%q leads to %v, %v", address, to, err)
			}
		}
	})
}
