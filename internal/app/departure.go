package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// GatewayAt is a gateway as the auth service speaks to it: at a URL.
type GatewayAt string

// Depart implements [auth.Gateway].
func (g GatewayAt) Depart(ctx context.Context, accessToken string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, strings.TrimRight(string(g), "/")+"/v1/jobs", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	// A connection of its own: this is seldom.
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: 5 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the gateway answers %s", res.Status)
	}
	return nil
}
