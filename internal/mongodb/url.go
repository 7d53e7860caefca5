package mongodb

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// The schemes of URLs.
const (
	scheme    = "mongodb://"
	schemeSRV = "mongodb+srv://" // the members are found in DNS
)

// IsURL reports whether a URL has one of MongoDB's schemes.
func IsURL(url string) bool {
	return strings.HasPrefix(url, scheme) || strings.HasPrefix(url, schemeSRV)
}

// place is a URL taken apart. Package url does not know lists of hosts.
type place struct {
	scheme, user, password, hosts, database string
	query                                   string
}

func parse(raw string) (place, error) {
	var p place
	rest, ok := strings.CutPrefix(raw, schemeSRV)
	if p.scheme = schemeSRV; !ok {
		if rest, ok = strings.CutPrefix(raw, scheme); !ok {
			return place{}, errors.New(`the URL must start with "mongodb://" or "mongodb+srv://"`)
		}
		p.scheme = scheme
	}
	rest, p.query, _ = strings.Cut(rest, "?")
	// Whoever leaves a "/" in the password as it is has the password's end taken for the
	// database: so the last "@" ends it.
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		user, password, _ := strings.Cut(rest[:i], ":")
		p.user, p.password, rest = user, password, rest[i+1:]
		if strings.ContainsAny(p.user+p.password, "/:@") {
			return p, errors.New("user and password must be percent-encoded")
		}
	}
	p.hosts, p.database, _ = strings.Cut(rest, "/")
	if p.hosts == "" {
		return p, errors.New("the URL names no host")
	}
	name, err := url.PathUnescape(p.database)
	if err != nil || strings.ContainsAny(name, "/\\. \"$*<>:|?\x00") || len(name) > 63 {
		return p, errors.New("the URL names a database that cannot be: want mongodb://host/name")
	}
	p.database = name
	return p, nil
}

// String names the place, without the password.
func (p *place) String() string {
	user := ""
	if p.user != "" {
		user = p.user + "@"
	}
	return p.scheme + user + p.hosts + "/" + p.database
}

// hide takes secrets out of an error.
func (p *place) hide(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	secrets := []string{p.password}
	if plain, err := url.PathUnescape(p.password); err == nil {
		secrets = append(secrets, plain)
	}
	for pair := range strings.SplitSeq(p.query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if strings.Contains(strings.ToLower(name), "password") || strings.Contains(strings.ToLower(name), "properties") {
			plain, _ := url.QueryUnescape(value)
			secrets = append(secrets, value, plain)
		}
	}
	hidden := text
	for _, s := range secrets {
		if s != "" {
			hidden = strings.ReplaceAll(hidden, s, "xxxxx")
		}
	}
	if hidden == text {
		return err
	}
	return errors.New(hidden)
}

// CheckURL reports what is wrong with a URL for [Open], without the password in it. It
// asks no server, not even DNS.
func CheckURL(raw string) error {
	p, err := parse(raw)
	if err == nil && p.database == "" {
		err = errors.New("the URL names no database: want mongodb://host/name")
	}
	if err == nil {
		err = p.check(raw)
	}
	if err != nil {
		return fmt.Errorf("mongodb: %w", err)
	}
	return nil
}

// check has the driver look at the options.
func (p *place) check(raw string) error {
	if p.scheme == schemeSRV {
		if strings.ContainsAny(p.hosts, ",:") {
			return errors.New("a mongodb+srv URL names one host, without a port")
		}
		// It would ask DNS. What has to do with that is left out.
		var rest []string
		for pair := range strings.SplitSeq(p.query, "&") {
			if !strings.HasPrefix(strings.ToLower(pair), "srv") {
				rest = append(rest, pair)
			}
		}
		raw, _, _ = strings.Cut(scheme+strings.TrimPrefix(raw, schemeSRV), "?")
		raw += "?" + strings.Join(rest, "&")
	}
	return p.hide(options.Client().ApplyURI(raw).Validate())
}
