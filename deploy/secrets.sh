#!/usr/bin/env bash
# Makes the secrets of deploy/compose.yaml, each at random, into a folder (deploy/secrets). What is there stays.
# Only its owner may enter the folder. The files in it can be read by all, since the users in the containers are
# others than on this machine.
set -euo pipefail

folder=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/secrets}
umask 077
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# Writes standard input into a file, whole or not at all, unless that is there.
put() {
	if [ -e "$1" ]; then
		cat >/dev/null
		return
	fi
	cat >"$1.new"
	chmod 444 "$1.new"
	mv "$1.new" "$1"
	echo "made $folder/$1"
}

for name in link.key auth.key s3.secret mariadb.root mongodb.root grafana.password .jobs .accounts .redis; do
	random | put "$name"
done
jobs=$(cat .jobs) accounts=$(cat .accounts) redis=$(cat .redis)

put jobs.url <<<"mysql://mp3lathe:$jobs@database:3306/mp3lathe"
put accounts.url <<<"mysql://mp3lathe_auth:$accounts@database:3306/mp3lathe_auth"
put databases.sql <<END
CREATE DATABASE mp3lathe CHARACTER SET utf8mb4;
CREATE USER mp3lathe@'%' IDENTIFIED BY '$jobs';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON mp3lathe.* TO mp3lathe@'%';
CREATE DATABASE mp3lathe_auth CHARACTER SET utf8mb4;
CREATE USER mp3lathe_auth@'%' IDENTIFIED BY '$accounts';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON mp3lathe_auth.* TO mp3lathe_auth@'%';
END
# For compose.mongodb.yaml.
put jobs.mongodb.url <<<"mongodb://mp3lathe:$jobs@mongodb:27017/mp3lathe"
put bucket.mongodb.url <<<"mongodb://mp3lathe:$jobs@mongodb:27017/mp3lathe?bucket=mp3"
put mongodb.js <<END
db.getSiblingDB('mp3lathe').createUser({user: 'mp3lathe', pwd: '$jobs', roles: ['readWrite']})
END
put redis.url <<<"redis://:$redis@redis:6379/0"
put redis.conf <<<"requirepass $redis"
put s3.env <<END
ROOT_ACCESS_KEY=mp3lathe
ROOT_SECRET_KEY=$(cat s3.secret)
END
