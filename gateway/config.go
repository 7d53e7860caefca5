package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"
)

// Config of a gateway. The zero value of each field is a good default.
type Config struct {
	// Version of the program, for the API's description. Default "dev".
	Version string
	// MaxUpload is the most bytes of one file. Default 4 GiB.
	MaxUpload int64
	// UploadIdle is how long the next bytes of an upload may take to come.
	// Default 60 s.
	UploadIdle time.Duration
	// MinUploadRate in bytes per second that an upload must have kept up on the
	// average, once it has taken longer than UploadIdle. Default 4096; negative is
	// none.
	MinUploadRate int64
	// DownloadIdle is how long a client may take for each 64 KiB of an MP3.
	// Default 60 s.
	DownloadIdle time.Duration
	// Timeout of everything else: the body of a request to come, and its answer to
	// be taken. Default 30 s.
	Timeout time.Duration
	// Poll is how often the stream of a job's events looks at the job if no hint
	// comes. Default 2 s.
	Poll time.Duration
	// Heartbeat is how often a stream of events says that it lives. Default 15 s.
	Heartbeat time.Duration
	// MaxStreams of events that one user may have open at this gateway. Default
	// 100.
	MaxStreams int
	// ShortBytes is the size of a file up to which its job takes the fast lane. Default
	// 16 MiB; negative is none.
	ShortBytes int64
	// ShortLength is the length of a cut, by its settings, up to which it takes the fast
	// lane. Default 5 min; negative is none.
	ShortLength time.Duration
	// BulkAfter is how many jobs a user may have waiting before further ones take the
	// lane for bulk. Default 20, at most 999; negative is any number.
	BulkAfter int
	// Quota of each user.
	Quota Quota
	// Rates of requests.
	Rates Rates
	// TrustedProxies are the networks of those whose X-Forwarded-For is believed. Default
	// none: a request comes from where its connection does.
	TrustedProxies []netip.Prefix
	// TrustParents has requests go on with the traces that they name; else each begins
	// one of its own.
	TrustParents bool
	// KeyLease is how long an idempotency key belongs to a request whose gateway gives
	// no sign of life. Default 15 s.
	KeyLease time.Duration
	// KeyWait is how long a request waits for an earlier one of the same key. Default
	// 30 s.
	KeyWait time.Duration
	// AuthURL of the auth service, which answers /login, /validate, /v1/auth/ and
	// /.well-known/jwks.json here too. Empty: these are not served.
	AuthURL string
	// TLS is what the gateway's public address has: browsers are told to use nothing
	// else.
	TLS bool
	// KeyCheck is how long the auth service's word that an API key is good is taken.
	// Default 5 s.
	KeyCheck time.Duration
}

func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.MaxUpload == 0 {
		c.MaxUpload = 4 << 30
	}
	if c.UploadIdle == 0 {
		c.UploadIdle = time.Minute
	}
	if c.MinUploadRate == 0 {
		c.MinUploadRate = 4 << 10
	}
	if c.DownloadIdle == 0 {
		c.DownloadIdle = time.Minute
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Poll == 0 {
		c.Poll = 2 * time.Second
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.ShortBytes == 0 {
		c.ShortBytes = 16 << 20
	}
	if c.ShortLength == 0 {
		c.ShortLength = 5 * time.Minute
	}
	if c.BulkAfter == 0 {
		c.BulkAfter = 20
	}
	if c.KeyLease == 0 {
		c.KeyLease = 15 * time.Second
	}
	if c.KeyWait == 0 {
		c.KeyWait = 30 * time.Second
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = 100
	}
	if c.KeyCheck == 0 {
		c.KeyCheck = 5 * time.Second
	}
	return c
}

// Validate reports the first field that makes no sense.
func (c Config) Validate() error {
	for name, d := range map[string]time.Duration{
		"UploadIdle": c.UploadIdle, "DownloadIdle": c.DownloadIdle, "Timeout": c.Timeout,
		"Poll": c.Poll, "Heartbeat": c.Heartbeat, "KeyLease": c.KeyLease, "KeyWait": c.KeyWait, "KeyCheck": c.KeyCheck,
	} {
		if d < 0 {
			return fmt.Errorf("gateway: %s is negative", name)
		}
	}
	if c.MaxUpload < 0 || c.MaxStreams < 0 || c.Quota.Waiting < 0 || c.Quota.DailyBytes < 0 || c.Quota.StoredBytes < 0 ||
		c.Rates.User < 0 || c.Rates.Address < 0 {
		return errors.New("gateway: a limit is negative")
	}
	if c.AuthURL != "" {
		if u, err := url.Parse(c.AuthURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("gateway: AuthURL %q: want one such as http://127.0.0.1:8081", c.AuthURL)
		}
	}
	return nil
}
