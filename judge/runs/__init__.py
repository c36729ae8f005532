"""What happens: plan, judge a comparison, run a shard, rank, agree, watch."""
