ALTER TABLE partition ADD COLUMN topic_id TEXT;

COMMENT ON COLUMN partition.topic_id IS 'Kafka''s id of the topic that the offsets are of; null before it was told';
