package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// signInTime is how long a user has to sign in; the service gives him no more either.
const signInTime = 10 * time.Minute

// signIn has the user sign in with a provider in his browser (RFC 8252), and returns the
// tokens of a session: the browser brings a code to a port of the loopback address, which
// is good for nobody without the verifier that stays here (RFC 7636).
func signIn(ctx context.Context, std *stdio, server, provider string, fresh bool) (client.Tokens, error) {
	c := &client.Client{Base: server}
	if err := knows(ctx, c, provider); err != nil {
		return client.Tokens{}, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return client.Tokens{}, fmt.Errorf("the browser has no way back: %w", err)
	}
	state, verifier := rand.Text(), rand.Text()+rand.Text()
	codes := make(chan string, 1)
	back := &http.Server{Handler: landing(state, codes), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = back.Serve(l) }()
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if back.Shutdown(ending) != nil { // the page is there by then
			_ = back.Close()
		}
	}()

	challenge := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"redirect_uri": {"http://" + l.Addr().String() + "/"}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	if fresh {
		q.Set("fresh", "true")
	}
	address := server + "/v1/auth/oidc/" + url.PathEscape(provider) + "/start?" + q.Encode()
	fmt.Fprintf(std.err, "Sign in in your browser, at\n\n  %s\n\n", address)
	openBrowser(std, address)
	timeout := time.NewTimer(signInTime)
	defer timeout.Stop()
	select {
	case code := <-codes:
		tokens, err := c.Redeem(ctx, code, verifier)
		if err != nil {
			return client.Tokens{}, fmt.Errorf("%s: %w", server, words(err))
		}
		return tokens, nil
	case <-timeout.C:
		return client.Tokens{}, fmt.Errorf("nobody has signed in within %d minutes", int(signInTime.Minutes()))
	case <-ctx.Done():
		return client.Tokens{}, ctx.Err()
	}
}

// knows says so if a service does not know a provider.
func knows(ctx context.Context, c *client.Client, provider string) error {
	all, err := c.Providers(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Base, words(err))
	}
	var names []string
	for _, p := range all {
		if p.Name == provider {
			return nil
		}
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("%s knows no providers; log in with a password (--email)", c.Base)
	}
	return fmt.Errorf("%s does not know %q; it knows %s", c.Base, provider, strings.Join(names, ", "))
}

// landing is where the browser comes back to. It takes one code, with the right state.
func landing(state string, codes chan<- string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Referrer-Policy", "no-referrer")
		q := r.URL.Query()
		if r.Method != http.MethodGet || r.URL.Path != "/" || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 || q.Get("code") == "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintln(w, "This is no sign-in that mp3lathe waits for.")
			return
		}
		select {
		case codes <- q.Get("code"):
			fmt.Fprintln(w, "Done. You can close this page and go back to mp3lathe.")
		default:
			w.WriteHeader(http.StatusConflict)
			fmt.Fprintln(w, "mp3lathe has a code already.")
		}
	})
}

// openBrowser opens one, if there is somebody before it: who reads the terminal. That it
// cannot is no error, since the address is printed.
func openBrowser(std *stdio, address string) {
	if f, ok := std.in.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return
	}
	path, err := exec.LookPath("xdg-open")
	if err != nil || errors.Is(err, exec.ErrDot) {
		return
	}
	if cmd := exec.Command(path, address); cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}
