// Package objstore keeps bytes under keys: in a folder, in a bucket of an S3 server, or in
// GridFS, in a MongoDB database.
//
//	bucket, err := objstore.Open(ctx, "s3://videos?endpoint=http://127.0.0.1:7070&use_path_style=true&region=us-east-1")
//
//	w, err := bucket.Create(ctx, "out/1.mp3")
//	if err != nil { ... }
//	defer w.Abort() // does nothing after Commit
//	_, err = transcode.Convert(ctx, w, src, nil)
//	if err != nil { ... }
//	err = w.Commit()
//
//	r, err := bucket.NewReader(ctx, "in/1")
//	if errors.Is(err, fs.ErrNotExist) { ... }
//	defer r.Close()
//
// # Writing
//
// An object appears whole, at [Writer.Commit], or not at all. What is written goes to the
// server in parts of 5 MiB, one after the other, so that memory does not grow with the
// object. A part that has gone can't be changed. A writer made by [Bucket.Create] therefore
// keeps the first 10 MiB back until the end: the header frame of an MP3, which stands
// behind the tag with its pictures, is written when all else is known. It holds up to 15
// MiB; one made by [Bucket.CreateSequential] holds up to 5 MiB. Both hold no more than was
// written, and send what fits in with one request. Beyond 6 GiB the parts grow, since S3
// takes no more than 10,000 of them.
//
// All writers of a bucket together hold 6 MiB in memory. What they hold beyond that lies in
// files without a name in the system's folder for temporary files; only where there can be
// none does memory grow with the number of writers.
//
// A writer of GridFS holds a quarter of a MiB, since chunks that were sent can be changed
// until Commit. What is written and what is replaced changes hands by one change of one document:
// see gridFS.
//
// # Reading
//
// A [Reader] of an S3 object fetches its first 64 KiB, and then what it is asked for: after a
// jump just that, if it is 16 KiB or more, and in reading on more and more ahead, by half of
// what has been read in one go and at most 1 MiB. Gaps of up to 64 KiB count as reading on,
// and may be fetched; larger ones are not. It holds up to 2 MiB, of several places, so that
// a video's index and its audio can be read by turns.
//
// A reader of GridFS fetches whole chunks, of 64 KiB where we have written them: those that
// it is asked for, and in reading on more ahead, as above. It holds up to 2 MiB.
//
// An answer that breaks off is taken up where it broke. A fault that stays is an error, and
// never looks like the end of the object.
//
// # Keys
//
// A key is of lower-case letters, digits, ".", "-" and "/", begins with a letter or a digit,
// and is a path in which no part is empty, "." or "..". In a folder "a" and "a/b" can't be
// there both.
package objstore
