package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// LogFlags say what is logged to standard error, and how.
type LogFlags struct {
	Level  string `name:"log-level" group:"Logging:" enum:"debug,info,warn,error" default:"info" env:"MP3LATHE_LOG_LEVEL" help:"What is logged: debug, info, warn or error."`
	Format string `name:"log-format" group:"Logging:" enum:"auto,json,text" default:"auto" env:"MP3LATHE_LOG_FORMAT" help:"How: json, text, or auto, which is text on a terminal."`
}

// Logger returns a logger that writes to w.
func (f *LogFlags) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.Level)) // kong has checked it; the zero value is info
	options := &slog.HandlerOptions{Level: level}
	file, ok := w.(*os.File)
	if f.Format == "text" || f.Format == "auto" && ok && term.IsTerminal(int(file.Fd())) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// DatabaseFlags name the database.
type DatabaseFlags struct {
	Database     string `group:"Parts:" placeholder:"URL" env:"MP3LATHE_DATABASE" help:"Database: mysql://user:password@host:3306/name or sqlite:/path/to/file.db."`
	DatabaseFile string `group:"Parts:" placeholder:"FILE" env:"MP3LATHE_DATABASE_FILE" help:"File that holds the URL, instead."`
}

// Open opens the database.
func (f *DatabaseFlags) Open(ctx context.Context) (*sqldb.DB, error) {
	url, err := secret("database", f.Database, f.DatabaseFile)
	if err != nil {
		return nil, err
	}
	return sqldb.Open(ctx, url)
}

// RedisFlags name the Redis that carries the queue.
type RedisFlags struct {
	Redis     string `group:"Parts:" placeholder:"URL" env:"MP3LATHE_REDIS" help:"Redis: redis://[:password@]host:6379/0, or rediss:// with TLS."`
	RedisFile string `group:"Parts:" placeholder:"FILE" env:"MP3LATHE_REDIS_FILE" help:"File that holds the URL, instead."`
}

// URL of the Redis.
func (f *RedisFlags) URL() (string, error) { return secret("redis", f.Redis, f.RedisFile) }

// BucketFlags name the bucket.
type BucketFlags struct {
	Bucket          string `group:"Parts:" placeholder:"URL" env:"MP3LATHE_BUCKET" help:"Bucket: file:///path/to/folder, or s3://name?region=...; for other servers than Amazon's also &endpoint=https://...&use_path_style=true."`
	S3AccessKey     string `name:"s3-access-key" group:"Parts:" placeholder:"KEY" env:"MP3LATHE_S3_ACCESS_KEY" help:"Access key of the bucket. Default: what the AWS SDK finds."`
	S3SecretKey     string `name:"s3-secret-key" group:"Parts:" placeholder:"SECRET" env:"MP3LATHE_S3_SECRET_KEY" help:"Secret key of the bucket."`
	S3SecretKeyFile string `name:"s3-secret-key-file" group:"Parts:" placeholder:"FILE" env:"MP3LATHE_S3_SECRET_KEY_FILE" help:"File that holds the secret key, instead."`
}

// Open opens the bucket.
func (f *BucketFlags) Open(ctx context.Context) (*objstore.Bucket, error) {
	if f.Bucket == "" {
		return nil, errors.New("--bucket is not set")
	}
	opts := &objstore.Options{AccessKey: f.S3AccessKey}
	if f.S3AccessKey != "" {
		var err error
		if opts.SecretKey, err = secret("s3-secret-key", f.S3SecretKey, f.S3SecretKeyFile); err != nil {
			return nil, err
		}
	}
	return objstore.OpenWith(ctx, f.Bucket, opts)
}

// LinkFlags are about the links in mails.
type LinkFlags struct {
	PublicURL   string `group:"Service:" placeholder:"URL" env:"MP3LATHE_PUBLIC_URL" help:"The gateway's address as users see it, such as https://mp3.example.org."`
	LinkKey     string `group:"Service:" placeholder:"SECRET" env:"MP3LATHE_LINK_KEY" help:"Key that signs download links, at least 32 characters. Several, one a line: the first signs, all are taken."`
	LinkKeyFile string `group:"Service:" placeholder:"FILE" env:"MP3LATHE_LINK_KEY_FILE" help:"File that holds the key, instead."`
}

// MailFlags are about the mail server.
type MailFlags struct {
	SMTP             string `name:"smtp" group:"Mail:" placeholder:"HOST[:PORT]" env:"MP3LATHE_SMTP" help:"Mail server."`
	SMTPSecurity     string `name:"smtp-security" group:"Mail:" enum:"starttls,tls,none" default:"starttls" env:"MP3LATHE_SMTP_SECURITY" help:"starttls, tls or none."`
	SMTPUser         string `name:"smtp-user" group:"Mail:" placeholder:"NAME" env:"MP3LATHE_SMTP_USER" help:"User at the mail server. Default: no authentication."`
	SMTPPassword     string `name:"smtp-password" group:"Mail:" placeholder:"SECRET" env:"MP3LATHE_SMTP_PASSWORD" help:"Password of that user."`
	SMTPPasswordFile string `name:"smtp-password-file" group:"Mail:" placeholder:"FILE" env:"MP3LATHE_SMTP_PASSWORD_FILE" help:"File that holds the password, instead."`
	SMTPCA           string `name:"smtp-ca" group:"Mail:" placeholder:"FILE" env:"MP3LATHE_SMTP_CA" help:"File with the certificates (PEM) that vouch for the mail server's. Default: the system's."`
	MailFrom         string `name:"mail-from" group:"Mail:" placeholder:"ADDRESS" env:"MP3LATHE_MAIL_FROM" default:"mp3lathe <mp3lathe@localhost>" help:"Sender: \"MP3 service <mp3@example.org>\"."`
}

// Open makes the sender of mails.
func (f *MailFlags) Open() (*mail.Sender, error) {
	if f.SMTP == "" {
		return nil, errors.New("--smtp is not set")
	}
	cfg := mail.Config{Address: f.SMTP, Security: mail.Security(f.SMTPSecurity), User: f.SMTPUser, From: f.MailFrom}
	var err error
	if f.SMTPUser != "" {
		if cfg.Password, err = secret("smtp-password", f.SMTPPassword, f.SMTPPasswordFile); err != nil {
			return nil, err
		}
	}
	if f.SMTPCA != "" {
		if cfg.RootCAs, err = certificates(f.SMTPCA); err != nil {
			return nil, err
		}
	}
	return mail.New(cfg)
}

// secret returns the value of a flag, or of the file that stands for it.
func secret(name, value, file string) (string, error) {
	switch {
	case value != "" && file != "":
		return "", fmt.Errorf("--%s and --%[1]s-file are both set", name)
	case file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("--%s-file: %w", name, err)
		}
		value = strings.TrimSpace(string(b))
		if value == "" {
			return "", fmt.Errorf("--%s-file: %s is empty", name, file)
		}
	case value == "":
		return "", fmt.Errorf("--%s is not set", name)
	}
	return value, nil
}
