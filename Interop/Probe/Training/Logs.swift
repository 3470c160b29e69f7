import EttinTraining

/// Logs batches of 8 samples and 4096 tokens to metrics.jsonl and event files in a run's folder.
func log(folder: String, batches: ClosedRange<Int>, continuingAfter batch: Int?) throws {
    let events = try TensorBoardLogger(folder: "\(folder)/tensorboard", continuingAfterBatch: batch)
    let lines = try JSONLinesLogger(path: "\(folder)/metrics.jsonl", continuingAfterBatch: batch)
    for logger in [events, lines] as [any TrainingLogger] {
        var clock = TrainingClock()
        for batch in 1...batches.upperBound {
            clock.advance(samples: 8, tokens: 4096, epoch: batch / 100)
            clock.seconds = Double(batch) / 4
            guard batches.contains(batch) else { continue }
            let values = [
                ("loss/train/total", 8 / Double(batch) + Double(batches.lowerBound)),
                ("lr-StableAdamW/group0", batch == 7 ? Double.nan : 1e-3 * Double(batch)),
            ]
            try logger.log(values, at: clock)
        }
        try logger.finish()
    }
}
