package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/trace"
)

// LogFlags say what is logged to standard error, and how; and what is told to a collector
// of traces.
type LogFlags struct {
	Level  string `name:"log-level" group:"Logging:" placeholder:"LEVEL" enum:"debug,info,warn,error" default:"info" env:"MP3LATHE_LOG_LEVEL" help:"What is logged: debug, info, warn or error."`
	Format string `name:"log-format" group:"Logging:" placeholder:"FORMAT" enum:"auto,json,text" default:"auto" env:"MP3LATHE_LOG_FORMAT" help:"How: json, text, or auto, which is text on a terminal."`
	TraceFlags
}

// TraceFlags say where traces go.
type TraceFlags struct {
	OTLP       string  `name:"otlp" group:"Logging:" placeholder:"URL" env:"MP3LATHE_OTLP" help:"Collector of traces, which speaks OTLP over HTTP, such as http://collector:4318. Default: no traces."`
	TraceRatio float64 `group:"Logging:" placeholder:"RATIO" default:"1" env:"MP3LATHE_TRACE_RATIO" help:"How many of the traces are recorded, from 0 to 1."`
}

// Start has traces sent, if there is a collector, until stop is called.
func (f *TraceFlags) Start(ctx context.Context, service, version string, logger *slog.Logger) (stop func(), err error) {
	if f.OTLP == "" {
		return func() {}, nil
	}
	var faults Faults
	faults.Wrong("otlp", trace.CheckURL(f.OTLP))
	if f.TraceRatio < 0 || f.TraceRatio > 1 {
		faults.Add("trace-ratio", "is %v: want 0 to 1", f.TraceRatio)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return trace.Start(ctx, trace.Config{URL: f.OTLP, Ratio: f.TraceRatio, Service: service, Version: version, Logger: logger})
}

// Logger returns a logger that writes to w.
func (f *LogFlags) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.Level)) // kong has checked it; the zero value is info
	options := &slog.HandlerOptions{Level: level}
	file, ok := w.(*os.File)
	if f.Format == "text" || f.Format == "auto" && ok && term.IsTerminal(int(file.Fd())) {
		return slog.New(trace.Log(slog.NewTextHandler(w, options)))
	}
	return slog.New(trace.Log(slog.NewJSONHandler(w, options)))
}

// DatabaseFlags name the database.
type DatabaseFlags struct {
	Database     string `group:"Parts:" placeholder:"URL" env:"MP3LATHE_DATABASE" secret:"" help:"Database: mysql://user:password@host:3306/name or sqlite:/path/to/file.db."`
	DatabaseFile string `group:"Parts:" placeholder:"FILE" env:"MP3LATHE_DATABASE_FILE" help:"File that holds the URL, instead."`
}

// Check returns the URL of the database.
func (c *DatabaseFlags) Check(f *Faults) string {
	url := f.Secret("database", c.Database, c.DatabaseFile)
	if url != "" {
		f.Wrong("database", sqldb.CheckURL(url))
	}
	return url
}

// JobsFlags name the database of jobs, which need not be SQL.
type JobsFlags struct {
	Database     string `group:"Parts:" aliases:"jobs" placeholder:"URL" env:"MP3LATHE_DATABASE" secret:"" help:"Database of jobs: mysql://user:password@host:3306/name, sqlite:/path/to/file.db, or mongodb://user:password@host:27017/name. The flag may be called jobs, too."`
	DatabaseFile string `group:"Parts:" aliases:"jobs-file" placeholder:"FILE" env:"MP3LATHE_DATABASE_FILE" help:"File that holds the URL, instead."`
}

// Check returns the URL of the database.
func (c *JobsFlags) Check(f *Faults) string {
	url := f.Secret("database", c.Database, c.DatabaseFile)
	switch {
	case url == "":
	case mongodb.IsURL(url):
		f.Wrong("database", mongodb.CheckURL(url))
	case !strings.HasPrefix(url, "mysql://") && !strings.HasPrefix(url, "sqlite:"):
		f.Wrong("database", errors.New(`the database's URL must start with "mysql://", "sqlite:" or "mongodb://"`))
	default:
		f.Wrong("database", sqldb.CheckURL(url))
	}
	return url
}

// RedisFlags name the Redis that carries the queue.
type RedisFlags struct {
	Redis     string `group:"Parts:" placeholder:"URL" env:"MP3LATHE_REDIS" secret:"" help:"Redis: redis://[:password@]host:6379/0, or rediss:// with TLS."`
	RedisFile string `group:"Parts:" placeholder:"FILE" env:"MP3LATHE_REDIS_FILE" help:"File that holds the URL, instead."`
}

// Check returns where the Redis is.
func (c *RedisFlags) Check(f *Faults) redisconn.Address {
	url := f.Secret("redis", c.Redis, c.RedisFile)
	if url != "" {
		f.Wrong("redis", queue.CheckURL(url))
	}
	return redisconn.At(url)
}

// TurnFlags say how users take turns. Gateways and workers are to agree on them.
type TurnFlags struct {
	Window int `group:"Fair use:" placeholder:"N" default:"1" env:"MP3LATHE_WINDOW" help:"How many of the waiting jobs of one user are in the queue at a time; the others wait for their turn. 0 for all. The same for gateways and workers."`
}

// Check returns the window.
func (c *TurnFlags) Check(f *Faults) int {
	f.Number("window", int64(c.Window), 0, 1000)
	return c.Window
}

// AuditFlags say how long the audit logs go back: that of accounts, which auth keeps, and
// that of jobs, which the sweeper of the workers thins out.
type AuditFlags struct {
	AuditRetention time.Duration `group:"Service:" placeholder:"TIME" default:"8760h" env:"MP3LATHE_AUDIT_RETENTION" help:"How long it is kept what administrators did: to accounts (auth), to the jobs of others (workers); 0 is for ever."`
}

// Check returns how long.
func (c *AuditFlags) Check(f *Faults) time.Duration {
	if c.AuditRetention != 0 {
		f.Time("audit-retention", c.AuditRetention, 24*time.Hour, Long)
	}
	return c.AuditRetention
}

// Optional returns where the Redis is, if one is named; else nowhere.
func (c *RedisFlags) Optional(f *Faults) redisconn.Address {
	if c.Redis == "" && c.RedisFile == "" {
		return redisconn.Address{}
	}
	return c.Check(f)
}

// BucketFlags name the bucket.
type BucketFlags struct {
	Bucket          string `group:"Parts:" placeholder:"URL" env:"MP3LATHE_BUCKET" secret:"" help:"Bucket: file:///path/to/folder, s3://name?region=... (for other servers than Amazon's also &endpoint=https://...&use_path_style=true), or mongodb://user:password@host:27017/name for GridFS."`
	BucketFile      string `group:"Parts:" placeholder:"FILE" env:"MP3LATHE_BUCKET_FILE" help:"File that holds the URL, instead."`
	S3AccessKey     string `name:"s3-access-key" group:"Parts:" placeholder:"KEY" env:"MP3LATHE_S3_ACCESS_KEY" help:"Access key of the bucket. Default: what the AWS SDK finds."`
	S3SecretKey     string `name:"s3-secret-key" group:"Parts:" placeholder:"SECRET" env:"MP3LATHE_S3_SECRET_KEY" secret:"" help:"Secret key of the bucket."`
	S3SecretKeyFile string `name:"s3-secret-key-file" group:"Parts:" placeholder:"FILE" env:"MP3LATHE_S3_SECRET_KEY_FILE" help:"File that holds the secret key, instead."`
}

// BucketPlace is where a bucket is, and with which keys it opens.
type BucketPlace struct {
	URL     string
	Options objstore.Options
}

// Check returns the bucket's place.
func (c *BucketFlags) Check(ctx context.Context, f *Faults) BucketPlace {
	place := BucketPlace{Options: objstore.Options{AccessKey: c.S3AccessKey}}
	switch {
	case c.S3AccessKey != "":
		place.Options.SecretKey = f.Secret("s3-secret-key", c.S3SecretKey, c.S3SecretKeyFile)
		if place.Options.SecretKey == "" {
			return place // it has been said
		}
	case c.S3SecretKey != "" || c.S3SecretKeyFile != "":
		f.Add("s3-access-key", "is not set, but there is a secret key")
		return place
	}
	if place.URL = f.Secret("bucket", c.Bucket, c.BucketFile); place.URL == "" {
		return place
	}
	f.Wrong("bucket", objstore.CheckURL(ctx, place.URL, &place.Options))
	return place
}
