package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// AskFlags say how the command health asks its program.
type AskFlags struct {
	Live    bool          `help:"Ask /livez, whether it answers at all, and not /readyz, whether it can do its work."`
	Timeout time.Duration `placeholder:"TIME" default:"5s" help:"How long to wait for the answer."`
}

// maxAnswer is more than /readyz ever says.
const maxAnswer = 4 << 10

// Ask asks the program that listens on an address, which a flag names, whether it is
// well, and writes its answer to w. It is an error if it is not well, or does not
// answer. An address without a host, or one that stands for all of this machine's, is
// asked on loopback.
func (c *AskFlags) Ask(ctx context.Context, w io.Writer, flag, address string) error {
	if c.Timeout <= 0 {
		return SettingsError{fmt.Sprintf("--timeout is %s: want more than 0s", c.Timeout)}
	}
	var f Faults
	switch _, port, _ := net.SplitHostPort(address); {
	case address == "":
		f.Add(flag, "is not set")
	case port == "0":
		f.Add(flag, "is %q: want the port on which the program listens", address)
	default:
		f.Address(flag, address)
	}
	if err := f.Err(); err != nil {
		return err
	}
	path := "/readyz"
	if c.Live {
		path = "/livez"
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	// Not by the URL, since that has no word for a host that is left out, and no proxy.
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("nobody answers on %s: %w", address, innermost(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the answer on %s breaks off: %w", address, innermost(err))
	}
	answer := strings.TrimSpace(string(body))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", path, res.Status, answer)
	}
	_, err = fmt.Fprintln(w, answer)
	return err
}

// innermost is what an error of a request comes from, without method and URL.
func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// HealthCmd is the command health of a program that has no API of its own.
type HealthCmd struct {
	HealthFlags
	AskFlags
}

// Run asks.
func (c *HealthCmd) Run(ctx context.Context, std *Std) error {
	return c.Ask(ctx, std.Out, "health", c.Health)
}
