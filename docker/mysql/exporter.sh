# Run by the MySQL image on an empty volume: the account that mysqld_exporter reads with.
# shellcheck shell=bash
docker_process_sql <<SQL
CREATE USER 'exporter'@'%' IDENTIFIED BY '$(</run/secrets/mysql_exporter_password)'
  WITH MAX_USER_CONNECTIONS 3;
GRANT PROCESS, REPLICATION CLIENT ON *.* TO 'exporter'@'%';
GRANT SELECT ON performance_schema.* TO 'exporter'@'%';
SQL
