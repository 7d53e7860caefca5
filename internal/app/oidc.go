package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mp3lathe/mp3lathe/auth"
)

// OIDCFlags name the providers of OpenID Connect that users can sign in with.
type OIDCFlags struct {
	OIDC     string `name:"oidc" group:"Service:" placeholder:"JSON" env:"MP3LATHE_OIDC" secret:"" help:"Providers of OpenID Connect that users can sign in with, a JSON array. The same for all auth processes."`
	OIDCFile string `name:"oidc-file" group:"Service:" placeholder:"FILE" env:"MP3LATHE_OIDC_FILE" help:"File that holds the JSON, instead."`
}

// oidcProvider is one in the JSON.
type oidcProvider struct {
	Name         string   `json:"name"`
	Label        string   `json:"label"`
	Issuer       string   `json:"issuer"`
	ClientID     string   `json:"client_id"`
	Secret       string   `json:"client_secret"`
	SecretFile   string   `json:"client_secret_file"`
	Scopes       []string `json:"scopes"`
	Link         string   `json:"link"`
	Registration string   `json:"registration"`
	TrustEmail   bool     `json:"trust_email"`
}

// Check returns the providers. closed is whether nobody may register.
func (c *OIDCFlags) Check(f *Faults, closed bool) []auth.Provider {
	if c.OIDC == "" && c.OIDCFile == "" {
		return nil
	}
	text := f.Secret("oidc", c.OIDC, c.OIDCFile)
	if text == "" {
		return nil // it has been said
	}
	var all []oidcProvider
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		f.Add("oidc", "is no JSON array of providers: %s", jsonFault(err))
		return nil
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		f.Add("oidc", "has more behind the JSON array")
		return nil
	}
	var providers []auth.Provider
	for _, p := range all {
		what := fmt.Sprintf("provider %q: ", p.Name)
		made := auth.Provider{
			Name: p.Name, Label: p.Label, Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.Secret, Scopes: p.Scopes,
			LinkVerified: p.Link == "verified", TrustAddresses: p.TrustEmail, Closed: p.Registration == "closed" || p.Registration == "" && closed,
		}
		switch {
		case p.Secret != "" && p.SecretFile != "":
			f.Add("oidc", "is wrong: %sclient_secret and client_secret_file are both set: one is enough", what)
		case p.SecretFile != "":
			made.ClientSecret = strings.TrimSpace(string(f.File("oidc", p.SecretFile)))
			if made.ClientSecret == "" {
				f.Add("oidc", "is wrong: %sthere is no secret in %s", what, p.SecretFile)
			}
		}
		if p.Link != "" && p.Link != "never" && p.Link != "verified" {
			f.Add("oidc", "is wrong: %slink is %q: want never or verified", what, p.Link)
		}
		if p.Registration != "" && p.Registration != "open" && p.Registration != "closed" {
			f.Add("oidc", "is wrong: %sregistration is %q: want open or closed", what, p.Registration)
		}
		providers = append(providers, made)
	}
	f.Wrong("oidc", auth.CheckProviders(providers))
	return providers
}

// jsonFault says where JSON is wrong, without what is in it, which may be secret.
func jsonFault(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("it cannot be read at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf("%s is to be of another type", strings.TrimPrefix(kind.Field, "."))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	}
	return strings.TrimPrefix(err.Error(), "json: ") // of a field that is unknown, by its name
}
