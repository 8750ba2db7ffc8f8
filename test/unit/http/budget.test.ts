// Who is told to hold less, who may go on, and when.
import { expect, it } from 'vitest';
import { Budget } from '../../../dist/src/http/budget.js';

function open(budget: Budget, held = 0) {
  const told: string[] = [];
  const account = budget.open({ relieve: () => told.push('relieve'), resume: () => told.push('resume') });
  account.add(held);
  return { account, told };
}

it('tells those who hold most to hold less once three quarters are used, and nobody else', () => {
  const budget = new Budget(1000);
  const [greedy, modest, idle] = [open(budget, 600), open(budget, 100), open(budget)];
  expect(budget.isPressed).toBe(false);
  modest.account.add(50);
  expect(budget.isPressed).toBe(true);
  expect([greedy.told, modest.told, idle.told]).toEqual([['relieve'], [], []]);
  idle.account.add(100);
  expect(idle.told).toEqual([]);
  expect(budget.isSpent).toBe(false);
});

it('tells whoever comes to hold as much as they do', () => {
  const budget = new Budget(1000);
  open(budget, 800);
  const late = open(budget, 100);
  expect(late.told).toEqual([]);
  late.account.add(700);
  expect(late.told).toEqual(['relieve']);
  expect(budget.isSpent).toBe(true);
});

it('lets them go on once half is free, and tells nobody who was not stopped', () => {
  const budget = new Budget(1000);
  const [first, second] = [open(budget, 700), open(budget, 100)];
  first.account.add(-200);
  expect([first.told, second.told]).toEqual([['relieve'], []]);
  second.account.close();
  first.account.add(-10);
  expect(budget.isPressed).toBe(false);
  expect([first.told, second.told]).toEqual([['relieve', 'resume'], []]);
});

it('forgets what a closed account held, once, and counts nothing for it later', () => {
  const budget = new Budget(1000);
  const { account, told } = open(budget, 900);
  account.close();
  account.close();
  account.add(500);
  expect(budget.used).toBe(0);
  expect(told).toEqual(['relieve']);
});

it('goes on when whoever is told makes room at once', () => {
  const budget = new Budget(1000);
  const other = open(budget, 300);
  const account = budget.open({ relieve: () => account.add(-account.held), resume: () => {} });
  account.add(600);
  expect(budget.used).toBe(300);
  expect(budget.isPressed).toBe(false);
  expect(other.told).toEqual([]);
});
