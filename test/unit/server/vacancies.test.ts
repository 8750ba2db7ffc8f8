// Words in memory that processes share: who could begin a request.
import { openSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PLACE_BYTES, VACANCY_BYTES, Vacancies } from '../../../dist/src/server/vacancies.js';
import { VacancyFile } from '../../../dist/src/server/vacancy-file.js';

const PLACES = VACANCY_BYTES / PLACE_BYTES;

function share(count: number) {
  const words = new Int32Array(VACANCY_BYTES / 4);
  return Array.from({ length: count }, (_, place) => {
    const vacancies = new Vacancies(words, place);
    return { vacancies, shop: vacancies.add(), blog: vacancies.add() };
  });
}

describe('vacancies', () => {
  test('are claimed once each, the next place first, and never the own one', () => {
    const [one, two, three] = share(3);
    for (const each of [one, two, three]) each?.shop?.tell(true);
    expect(two?.shop?.claim()).toBe(2);
    expect(two?.shop?.claim()).toBe(0);
    expect(two?.shop?.claim()).toBeNull();
    expect(one?.shop?.claim()).toBe(1);
  });

  test('are seen before they are claimed, and the own one is none', () => {
    const [one, two] = share(2);
    one?.shop?.tell(true);
    expect([one?.shop?.isElsewhere, two?.shop?.isElsewhere, two?.blog?.isElsewhere]).toEqual([
      false,
      true,
      false,
    ]);
    two?.shop?.claim();
    expect(two?.shop?.isElsewhere).toBe(false);
  });

  test('are of one application', () => {
    const [one, two] = share(2);
    one?.shop?.tell(true);
    expect(two?.blog?.claim()).toBeNull();
    expect(two?.shop?.claim()).toBe(0);
  });

  test('can be given back, and are told again where nobody came', () => {
    const [one, two] = share(2);
    one?.shop?.tell(true);
    expect(two?.shop?.claim()).toBe(0);
    two?.shop?.release(0);
    expect(two?.shop?.claim()).toBe(0);
    one?.shop?.tell(true);
    expect(two?.shop?.claim()).toBeNull();
    one?.vacancies.repeat();
    expect(two?.shop?.claim()).toBe(0);
  });

  test('are gone for good when the process is about to end', () => {
    const [one, two] = share(2);
    one?.shop?.tell(true);
    one?.vacancies.close();
    one?.shop?.tell(true);
    one?.vacancies.repeat();
    expect(two?.shop?.claim()).toBeNull();
  });

  test('are for so many applications', () => {
    const vacancies = new Vacancies(new Int32Array(VACANCY_BYTES / 4), 0);
    const made = Array.from({ length: 32 }, () => vacancies.add());
    expect(made.filter((each) => each === null)).toHaveLength(1);
    const last = made[30];
    last?.tell(true);
    last?.tell(false);
    expect(new Vacancies(new Int32Array(VACANCY_BYTES / 4), 1).add()?.claim()).toBeNull();
  });
});

describe('their file', () => {
  test('is memory to whoever maps it, and a file to the supervisor', async () => {
    const file = VacancyFile.open() as VacancyFile;
    const [first = 0, second = 0] = [file.takePlace(), file.takePlace()].map(Number);
    const vacancies = await Vacancies.map(openSync(`/proc/self/fd/${file.fd}`, 'r+'), second);
    const vacancy = vacancies?.add();
    expect([file.isVacant(first), file.isVacant(second)]).toEqual([false, false]);
    vacancy?.tell(true);
    expect([file.isVacant(first), file.isVacant(second)]).toEqual([false, true]);
    file.giveBack(second);
    expect(file.isVacant(second)).toBe(false);
    expect(file.takePlace()).toBe(second);
    file.close();
  });

  test('has only so many places', () => {
    const file = VacancyFile.open() as VacancyFile;
    for (let place = 0; place < PLACES; place += 1) expect(file.takePlace()).toBe(place);
    expect(file.takePlace()).toBeNull();
    file.close();
  });
});
