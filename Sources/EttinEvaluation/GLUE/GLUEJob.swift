/// A figure of a model on a part of a task's data.
public struct GLUEScore: Sendable, Hashable {
    /// The part.
    public let part: GLUEPart
    /// What was measured.
    public let metric: GLUEMetric
    /// The figure, 1 at best; NaN for a correlation of predictions that are all the same.
    public let value: Double

    /// Creates a score.
    ///
    /// - Parameters:
    ///   - part: The part of the data.
    ///   - metric: What was measured.
    ///   - value: The figure.
    public init(part: GLUEPart, metric: GLUEMetric, value: Double) {
        (self.part, self.metric, self.value) = (part, metric, value)
    }
}

/// A model that was trained on a task with one seed, and what it scored.
public struct GLUEJob: Sendable, Hashable {
    /// The name, such as `study_task=rte_seed=42`.
    public let name: String
    /// The model that training began with, which the jobs of one average share.
    public let model: String
    /// The task.
    public let task: GLUETask
    /// The seed; nil where nothing says so.
    public let seed: Int?
    /// The scores, in the order of the task's parts and metrics; others behind.
    public let scores: [GLUEScore]

    /// Creates a job.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - model: The model that training began with.
    ///   - task: The task.
    ///   - seed: The seed.
    ///   - scores: The scores.
    public init(name: String, model: String, task: GLUETask, seed: Int?, scores: [GLUEScore]) {
        (self.name, self.model, self.task, self.seed) = (name, model, task, seed)
        let parts = GLUEPart.allCases
        func place(_ score: GLUEScore) -> Int {
            let part = parts.firstIndex(of: score.part) ?? 0
            return part * 100 + (task.metrics.firstIndex(of: score.metric) ?? 99)
        }
        self.scores = scores.sorted { place($0) < place($1) }
    }

    /// The scores as one number.
    ///
    /// - Parameter average: Which of the task's metrics count.
    /// - Returns: Their mean; nil where one was not measured.
    public func value(by average: GLUEAverage) -> Double? {
        let metrics = average.metrics(of: task)
        let values = task.validationParts.flatMap { part in
            metrics.map { metric in scores.first { $0.part == part && $0.metric == metric }?.value }
        }
        let measured = values.compactMap(\.self)
        return measured.count == values.count ? measured.reduce(0, +) / Double(values.count) : nil
    }
}

/// Which metrics of a task with several enter its mean, over which the research code and its readers disagree.
public enum GLUEAverage: String, Sendable, Hashable, CaseIterable {
    /// All.
    case mean
    /// The last that the original's evaluators compute, which is F1 of MRPC and QQP.
    case last
    /// Accuracy of MRPC and QQP.
    case accuracy
    /// F1 of MRPC and QQP.
    case f1

    /// The metrics of a task that count; a task with one has it whatever the average.
    func metrics(of task: GLUETask) -> [GLUEMetric] {
        let all = task.metrics
        switch self {
        case .mean: return all
        case .last: return Array(all.suffix(1))
        case .accuracy: return all.contains(.accuracy) ? [.accuracy] : all
        case .f1: return all.contains(.f1) ? [.f1] : all
        }
    }
}

/// What one model scored on the tasks of GLUE over several seeds.
public struct GLUESummary: Sendable, Hashable {
    /// A task's value over its jobs.
    public struct TaskMean: Sendable, Hashable {
        /// The task.
        public let task: GLUETask
        /// The mean of its jobs' values.
        public let mean: Double
        /// The standard deviation of the sample (n − 1); nil for one job.
        public let deviation: Double?
        /// The number of jobs.
        public let jobCount: Int
    }

    /// The model that training began with.
    public let model: String
    /// Its jobs.
    public let jobs: [GLUEJob]

    /// Sorts jobs by their models.
    ///
    /// - Parameter jobs: The jobs of any models.
    /// - Returns: A summary for each model, in the order of their first jobs; the jobs of each by task and seed.
    public static func summaries(_ jobs: [GLUEJob]) -> [GLUESummary] {
        var models: [String] = []
        for job in jobs where !models.contains(job.model) { models.append(job.model) }
        let order = GLUETask.allCases
        return models.map { model in
            let own = jobs.filter { $0.model == model }.enumerated().sorted { one, other in
                let tasks = (order.firstIndex(of: one.element.task) ?? 0, order.firstIndex(of: other.element.task) ?? 0)
                return (tasks.0, one.element.seed ?? 0, one.offset) < (tasks.1, other.element.seed ?? 0, other.offset)
            }
            return GLUESummary(model: model, jobs: own.map(\.element))
        }
    }

    /// The value of each task that has jobs.
    ///
    /// - Parameter average: Which of the task's metrics count.
    /// - Returns: The values in the order of tables; none for a task whose jobs lack a metric.
    public func tasks(by average: GLUEAverage) -> [TaskMean] {
        GLUETask.allCases.compactMap { task in
            let values = jobs.filter { $0.task == task }.compactMap { $0.value(by: average) }
            guard !values.isEmpty else { return nil }
            let mean = values.reduce(0, +) / Double(values.count)
            let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            let deviation = values.count > 1 ? (squares / Double(values.count - 1)).squareRoot() : nil
            return TaskMean(task: task, mean: mean, deviation: deviation, jobCount: values.count)
        }
    }

    /// The score of GLUE: the mean over the eight tasks that count, each having been averaged over its jobs.
    ///
    /// - Parameter average: Which metrics of a task count.
    /// - Returns: The mean and the number of tasks in it; nil without any.
    ///
    /// > Source: the tables of ModernBERT and Ettin.
    public func mean(by average: GLUEAverage) -> (value: Double, taskCount: Int)? {
        let values = tasks(by: average).filter { GLUETask.scored.contains($0.task) }.map(\.mean)
        return values.isEmpty ? nil : (values.reduce(0, +) / Double(values.count), values.count)
    }
}
