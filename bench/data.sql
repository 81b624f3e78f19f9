-- Fills the tables. The table `size` has the number of users, posts and votes, and the hash of every password.
-- Most votes are on old posts, except that every user has voted on one post of the second page.
SELECT setseed(0.42);

-- 5,000 pseudo-words of 4 to 8 letters. Titles use the first ones far more often than the last ones.
CREATE TEMP TABLE words AS
SELECT number, translate(substr(md5(number::text), 1, 4 + number % 5), '0123456789', 'ghijklmnop') AS word
FROM generate_series(1, 5000) AS number;
ALTER TABLE words ADD PRIMARY KEY (number);

INSERT INTO users (id, email, lower_case_email, password, created_at)
SELECT number, 'user' || number || '@example.com', 'user' || number || '@example.com', hash,
       now() - (users - number) * interval '1 minute'
FROM size, generate_series(1, users) AS number;

-- The session of the requests, which all come from user 1.
INSERT INTO sessions (id, user_id) VALUES ('b3f1c9f2-6c0e-4f43-9d0a-6d4f1f0e2a55', 1);

-- User 1, who sends the requests, has no votes and can therefore cast them.
INSERT INTO votes (user_id, post_id)
SELECT number, posts - 15 FROM size, generate_series(2, users) AS number;
INSERT INTO votes (user_id, post_id)
SELECT DISTINCT 2 + floor(random() * (users - 1))::integer, 1 + floor(power(random(), 2) * (posts - 100))::integer
FROM size, generate_series(1, votes - users);
-- The newest posts have up to 99 votes.
INSERT INTO votes (user_id, post_id)
SELECT 2 + number, post FROM size, generate_series(posts - 99, posts) AS post, generate_series(1, post % 100) AS number
WHERE post <> posts - 15;
CREATE TEMP TABLE tally AS SELECT post_id, count(*)::integer AS number FROM votes GROUP BY post_id;
ALTER TABLE tally ADD PRIMARY KEY (post_id);

-- A tenth of the posts are drafts, but not the hot post.
INSERT INTO posts (id, title, content, published, created_at, owner_id)
SELECT post.id, initcap(a.word) || ' ' || b.word || ' ' || c.word || ' ' || d.word,
       repeat(b.word || ' ' || c.word || ' ' || d.word || ' ', 1 + post.id % 20),
       post.id % 10 <> 0 OR post.id = posts - 15,
       now() - (posts - post.id) * interval '10 seconds', owner
FROM size, LATERAL (
    SELECT id, 1 + floor(power(random(), 2) * 5000)::integer AS w1, 1 + floor(power(random(), 2) * 5000)::integer AS w2,
           1 + floor(power(random(), 2) * 5000)::integer AS w3, 1 + floor(power(random(), 2) * 5000)::integer AS w4,
           2 + floor(random() * (users - 1))::integer AS owner
    FROM generate_series(1, posts) AS id
) AS post
JOIN words AS a ON a.number = w1 JOIN words AS b ON b.number = w2
JOIN words AS c ON c.number = w3 JOIN words AS d ON d.number = w4
ORDER BY post.id;

-- The triggers, which would do this, are off while the tables are filled.
INSERT INTO post_ranks (post_id, vote_count) SELECT id, coalesce(number, 0) FROM posts LEFT JOIN tally ON tally.post_id = id;
INSERT INTO post_titles (post_id, owner_id, published, created_at, title)
SELECT id, owner_id, published, created_at, title FROM posts ORDER BY id;

SELECT setval(pg_get_serial_sequence('users', 'id'), users), setval(pg_get_serial_sequence('posts', 'id'), posts)
FROM size;
DROP TABLE words, tally, size;
