//! The command line of the program `model`.

mod args;
mod complete;
mod device;
mod document;
mod inspect;
mod load;
mod run;
mod score;
mod serve;
mod tokenize;

pub use run::main;
